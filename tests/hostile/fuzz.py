"""Structure-aware fuzzing of the readers (L5): only ``Rejected`` is raised, in time and in memory.

    python -m tests.hostile.fuzz --seconds 1800 --seed 7

Every case is made from its number alone: an honest or hostile file, changed once to four times. What is
accepted must mean one thing: written in canonical form it reads as the same weights, all finite, and Python's
zipfile finds the same bytes in it. Imports no torch, so that the memory measured is the parser's.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import re
import sys
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from models.checkpoints.canonical import write_canonical
from models.checkpoints.scan import ScannedCheckpoint, scan_checkpoint
from models.data.archive import inspect_dataset
from models.errors import Rejected
from tests.hostile import CLASSES, mutate
from tests.hostile.archives import good_archive
from tests.hostile.catalog import Kind
from tests.hostile.craft import described, good_legacy, good_zip, safetensors

LONGEST_S = 2.0
MOST_BYTES = 300 * 1024 * 1024
#: Files of the catalogue that are large only to be large would take the time of thousands of small ones.
LARGEST_BASE = 20_000


@dataclass
class Findings:
    """What a run saw.

    Attributes:
        outcomes: Cases by code; ``accepted`` for those that were.
        slowest_s: Processor time of the slowest case.
        most_bytes: Peak of resident memory while a case was read, without the making of cases: a mutated file
            of 14 MB takes 400 MiB to make and 50 to refuse.
        faults: Numbers of the cases that broke a rule, and how.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    most_bytes: int = 0
    faults: dict[int, str] = field(default_factory=dict)


def make_case(number: int, seed: int) -> tuple[Kind, bytes]:
    """Write the file of one case."""
    chance = random.Random(f"{seed} {number}")
    kind, content, mutators = _base(chance)
    for _ in range(chance.choice([1, 1, 2, 4])):
        content = chance.choice(mutators)(content, chance) or b"\0"
    return kind, content


def _base(chance: random.Random) -> tuple[Kind, bytes, list[mutate.Mutate]]:
    zips = [mutate.a_header_field, mutate.a_member, mutate.some_bytes]
    match chance.randrange(8):
        case 0 | 1 | 2:
            return "checkpoint", good_zip(chance), [*zips, mutate.the_pickle, mutate.the_pickle]
        case 3:
            content = good_legacy(chance.randint(1, 40))
            return "checkpoint", content, [mutate.some_bytes, mutate.legacy_pickle]
        case 4:
            tensors = {"a": described(), "b.c": described("F16", (2, 2), (16, 24))}
            return "checkpoint", safetensors(tensors, bytes(24)), [mutate.some_bytes, mutate.the_header]
        case 5 | 6:
            return "archive", good_archive(chance), zips
        case _:
            hostile = chance.choice(list(CLASSES.values()))
            content = hostile.seeded(chance.randrange(10))
            if len(content) > LARGEST_BASE:
                return "checkpoint", good_zip(chance), zips
            return hostile.kind, content, [*zips, mutate.the_pickle, mutate.the_header]


def judge(kind: Kind, path: Path) -> str:
    """Read one file as the service would and hold what is accepted to its rules.

    Returns:
        The code of the refusal, or ``accepted``.

    Raises:
        AssertionError: A rule is broken.
    """
    out_path = path.with_name("canonical")
    try:
        if kind == "archive":
            inspect_dataset(path, out_path, "clean_labelled")
        else:
            _check_meaning(path, scan_checkpoint(path), out_path)
    except Rejected as error:
        assert error.code not in {"parser_limit", "parser_failed"}, error.code
        assert error.detail.isprintable() and len(error.detail) < 1000, "an unprintable detail"
        return error.code
    finally:
        out_path.unlink(missing_ok=True)
    return "accepted"


def _check_meaning(path: Path, scanned: ScannedCheckpoint, out_path: Path) -> None:
    for name, weight in scanned.tensors.items():
        if weight.dtype.tag in {"F16", "F32", "F64"}:
            assert np.isfinite(weight.array).all(), f"{name} is not finite"
    if scanned.format == "torch_zip":
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            assert archive.testzip() is None, "zipfile finds other bytes"
    write_canonical(scanned, {name: name for name in scanned.tensors}, out_path)
    again = scan_checkpoint(out_path)
    assert again.tensors.keys() == scanned.tensors.keys(), "other names when read again"
    for name, weight in scanned.tensors.items():
        assert _bits(again.tensors[name].array) == _bits(weight.array), f"{name} changed"


def _bits(array: npt.NDArray[Any]) -> memoryview:
    """Give an array's bytes without a copy: the peak that is watched is the reader's, not this program's."""
    return memoryview(array.reshape(-1).view(np.uint8))


def run(seed: int, more: Callable[[int], bool]) -> Findings:
    """Try cases as long as ``more`` of their number says so."""
    findings = Findings()
    number = 0
    with TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        while more(number):
            kind, content = make_case(number, seed)
            path.write_bytes(content)
            del content
            forget_peak()
            began = time.process_time()
            try:
                findings.outcomes[judge(kind, path)] += 1
            except Exception:  # that anything else is raised is what is looked for
                findings.faults[number] = traceback.format_exc(limit=-3)
            seconds = time.process_time() - began
            findings.slowest_s = max(findings.slowest_s, seconds)
            findings.most_bytes = max(findings.most_bytes, peak_bytes())
            if seconds > LONGEST_S:
                findings.faults[number] = f"took {seconds:.1f} s"
            number += 1
    return findings


def forget_peak() -> None:
    """Begin the high-water mark anew at what is resident now, where the kernel lets us."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Return the high-water mark of this process's resident memory."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None, "Linux says so"
    return int(found[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="of this process on a processor")
    parser.add_argument("--cases", type=int, default=sys.maxsize, help="at most so many, however fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--write", type=int, metavar="CASE", help="write this case to standard output and stop"
    )
    arguments = parser.parse_args()
    if arguments.write is not None:
        sys.stdout.buffer.write(make_case(arguments.write, arguments.seed)[1])
        return
    end = time.process_time() + arguments.seconds
    findings = run(arguments.seed, lambda number: number < arguments.cases and time.process_time() < end)
    document = {
        "cases": findings.outcomes.total() + len(findings.faults),
        "outcomes": dict(findings.outcomes.most_common()),
        "slowest_s": round(findings.slowest_s, 3),
        "peak_mib": findings.most_bytes >> 20,
        "torch_imported": "torch" in sys.modules,
        "faults": findings.faults,
    }
    print(json.dumps(document, indent=2))
    sys.exit(bool(findings.faults) or findings.most_bytes > MOST_BYTES or "torch" in sys.modules)


if __name__ == "__main__":
    main()
