"""What is accepted is what ``torch.load`` gives, bit for bit; nothing else lies under a usual name."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from models.checkpoints.scan import ScannedCheckpoint, scan_checkpoint
from models.checkpoints.select_state_dict import KNOWN_KEYS
from models.errors import Rejected
from tests.hostile import fuzz
from tests.hostile.aliases import constructed, mutated
from tests.untraced import untraced

ROOT = Path(__file__).parents[2]
MUTATED, FUZZED = 2000, 200


def accepted(path: Path, content: bytes) -> ScannedCheckpoint | None:
    """Read one file; None if it is refused."""
    path.write_bytes(content)
    try:
        return scan_checkpoint(path)
    except Rejected:
        path.unlink()
        return None


def torch_reads(files: list[tuple[Path, bool]]) -> list[dict[str, Any]]:
    """Load files in a process of its own."""
    answer = subprocess.run(
        [sys.executable, "-m", "tests.hostile.torch_reader"],
        input=json.dumps([(str(path), ours) for path, ours in files]).encode(),
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(answer.stdout)
    return found


def described(scanned: ScannedCheckpoint) -> dict[str, list[Any]]:
    """Describe what was read as ``torch_reader`` describes what torch gives."""
    return {
        (scanned.stripped_prefix or "") + name: [
            f"torch.{weight.dtype.name}",
            list(weight.array.shape),
            hashlib.sha256(weight.array.tobytes()).hexdigest(),
        ]
        for name, weight in scanned.tensors.items()
    }


def disagreements(scanned: ScannedCheckpoint, tensors: dict[str, dict[str, list[Any]]]) -> list[str]:
    """Say how torch's view of a file differs from ours."""
    chosen = scanned.state_dict_key or ""
    theirs, ours = tensors.get(chosen, {}), described(scanned)
    rivals = [name for name in KNOWN_KEYS if name in tensors and name != chosen]
    return [*(["other weights"] if theirs != ours else []), *(f"weights under {name}" for name in rivals)]


def test_whatever_is_accepted_is_what_torch_loads(tmp_path: Path) -> None:
    contents = [(name, content, True) for name, content in constructed()]
    contents += [(f"mutated {number}", mutated(number, 0), False) for number in range(MUTATED)]
    fuzzed = ((number, *fuzz.make_case(number, 2)) for number in range(FUZZED))
    contents += [
        (f"fuzzed {number}", content, False) for number, kind, content in fuzzed if kind == "checkpoint"
    ]
    read = {}
    for name, content, ours in contents:
        path = tmp_path / name.replace(" ", "-")
        with untraced():
            scanned = accepted(path, content)
        if scanned is not None:
            read[path] = (scanned, ours)
    answers = torch_reads([(path, ours) for path, (_, ours) in read.items()])
    outcomes: Counter[str] = Counter()
    faults = {}
    for (path, (scanned, _)), answer in zip(read.items(), answers, strict=True):
        outcomes["refused by torch" if answer["tensors"] is None else "read by both"] += 1
        if answer["tensors"] is not None and (found := disagreements(scanned, answer["tensors"])):
            faults[path.name] = found
    print(outcomes)
    assert faults == {}
    assert outcomes["read by both"] > 100
    assert {path.name for path in read} >= {"honest-zip", "honest-legacy"}


@pytest.mark.parametrize("name", [name for name, _ in constructed() if not name.startswith("honest")])
def test_files_of_two_networks_are_refused(name: str, tmp_path: Path) -> None:
    assert accepted(tmp_path / "upload", dict(constructed())[name]) is None


def test_it_notices_weights_that_differ(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    scanned = accepted(path, dict(constructed())["honest zip"])
    assert scanned is not None
    (answer,) = torch_reads([(path, True)])
    tensors = answer["tensors"]
    assert disagreements(scanned, tensors) == []
    assert disagreements(scanned, {**tensors, "model": tensors["optimizer"]}) == ["other weights"]
    assert disagreements(scanned, {**tensors, "ema": tensors["model"]}) == ["weights under ema"]
