"""How a process of the lab ends."""

from __future__ import annotations

import io
import json
import sys

import pytest
from safetensors import SafetensorError

from models.errors import DataRejected, Interrupted, ProctorError, RecipeError, TrainingFailed
from models.lab.ending import ended

FAULTS = [
    (RecipeError("No."), 4, "recipe_invalid"),
    (DataRejected("No."), 3, "data_rejected"),
    (TrainingFailed("No."), 2, "training_failed"),
    (Interrupted("No."), 130, "interrupted"),
    (PermissionError(13, "Permission denied", "/x/set.json"), 2, "os_error"),
    (SafetensorError("I/O error: No space left on device"), 2, "os_error"),
    (KeyError("verdict"), 2, "internal_error"),
]


@pytest.mark.parametrize(("fault", "code", "name"), FAULTS)
def test_every_fault_is_a_sentence_and_never_1(
    fault: Exception, code: int, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        raise fault

    assert ended(work, as_json=True) == code
    assert json.loads(capsys.readouterr().out)["error"]["code"] == name
    assert ended(work, as_json=False) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("Error: ")
    assert "Traceback" not in told.err


def test_the_traceback_is_there_for_the_asking(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROCTOR_DEBUG", "1")
    assert ended(lambda: {}["verdict"], as_json=False) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_before_anything_is_kept_is_130() -> None:
    def work() -> int:
        raise KeyboardInterrupt

    assert ended(work, as_json=False) == 130


def test_a_file_that_is_refused_has_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise ProctorError("It is not.", hint="Make it.")

    assert ended(work, as_json=False) == 2
    assert capsys.readouterr().err == "Error: It is not.\nHint:  Make it.\n"


def test_a_sign_that_the_terminal_lacks_is_written_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))

    def work() -> int:
        sys.stdout.write("\u2014")
        return 0

    assert ended(work, as_json=False) == 0
    assert raw.getvalue() == b"\\u2014"
