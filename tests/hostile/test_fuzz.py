"""The fuzzer itself, briefly, and small files that ask for much, in a process that holds the parser alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile import CLASSES, fuzz

ROOT = Path(__file__).parents[2]
#: L8: interpreter, NumPy and Pillow take about 45 MiB of it.
MOST_BYTES = 150 * 1024 * 1024
AMPLIFIERS = [hostile for hostile in CLASSES.values() if hostile.amplifies]

READ_ALL = """
import json, sys
from pathlib import Path
from tests.hostile import fuzz
codes = [fuzz.judge("checkpoint", Path(path)) for path in sys.argv[1:]]
print(json.dumps([codes, fuzz.peak_bytes(), "torch" in sys.modules]))
"""


def test_a_short_run_finds_nothing_and_reaches_every_layer() -> None:
    findings = fuzz.run(1, lambda number: number < 600)
    assert findings.faults == {}
    reached = {"accepted", "zip_malformed", "pickle_malformed", "safetensors_malformed", "archive_malformed"}
    assert reached <= findings.outcomes.keys()


def test_cases_are_made_again_from_their_number() -> None:
    assert fuzz.make_case(5, 0) == fuzz.make_case(5, 0) != fuzz.make_case(5, 1)


@pytest.mark.parametrize("fault", [KeyError, RecursionError, MemoryError])
def test_it_notices_what_is_no_refusal(fault: type[Exception], monkeypatch) -> None:
    def broken(*_):
        raise fault

    monkeypatch.setattr(fuzz, "scan_checkpoint", broken)
    monkeypatch.setattr(fuzz, "inspect_dataset", broken)
    assert fault.__name__ in fuzz.run(0, lambda number: number < 1).faults[0]


def test_small_files_that_ask_for_gigabytes_are_refused_in_little_memory(tmp_path: Path) -> None:
    expected = []
    for hostile in AMPLIFIERS:
        for seed in range(4):
            content = hostile.seeded(seed)
            assert len(content) <= 4096
            (tmp_path / f"{hostile.name}-{seed}").write_bytes(content)
            expected.append(hostile.code)
    paths = [str(tmp_path / f"{hostile.name}-{seed}") for hostile in AMPLIFIERS for seed in range(4)]
    assert len(paths) >= 20
    command = [sys.executable, "-c", READ_ALL, *paths]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    codes, peak_bytes, torch_imported = json.loads(answer.stdout)
    assert codes == expected
    assert peak_bytes <= MOST_BYTES
    assert not torch_imported
