"""The sentences users read are the ones that were read before they were committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile import CLASSES
from tests.hostile.sentences import CHECKPOINTS, sentences

REFUSALS = Path(__file__).with_name("refusals.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_refusal_says_what_the_file_says(name: str, tmp_path: Path) -> None:
    expected = [line for line in REFUSALS if line.startswith(f"{name}:")]
    assert sentences(CLASSES[name], tmp_path) == expected, "see tests/hostile/sentences.py"


def test_no_line_is_of_a_class_that_is_gone() -> None:
    assert {line.partition(":")[0] for line in REFUSALS} == set(CHECKPOINTS)
