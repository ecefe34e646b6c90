"""Every class of the catalogue, ten times: refused with its code, in time, leaving nothing (L1, L2, Z)."""

from __future__ import annotations

import random
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from models.checkpoints.codes import CODES
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.isolated import inspect_isolated
from models.checkpoints.scan import scan_checkpoint
from models.data.archive import inspect_dataset
from models.data.codes import DATA_CODES
from models.data.isolated import inspect_dataset_isolated
from models.errors import Rejected
from tests.hostile import CLASSES, HostileClass
from tests.hostile.archives import good_archive
from tests.hostile.craft import described, good_legacy, good_zip, safetensors, with_zip64
from tests.hostile.pickles import MARKER
from tests.untraced import untraced

SEEDS = range(10)
#: A test process with torch loaded has a large heap to collect; the parser process takes a fraction of it.
LONGEST_S = 5.0
#: What coverage's tracer may make of it.
TRACED_S = 20.0
EVERY = pytest.mark.parametrize("hostile", CLASSES.values(), ids=CLASSES.keys())


def inspect(kind: str, path: Path, *, isolated: bool) -> None:
    out_path = path.with_name("canonical")
    if kind == "checkpoint":
        (inspect_isolated if isolated else inspect_checkpoint)(path, out_path, InspectOptions())
    else:
        (inspect_dataset_isolated if isolated else inspect_dataset)(path, out_path, "clean_labelled")


def refusal(hostile: HostileClass, content: bytes, folder: Path, *, isolated: bool = False) -> Rejected:
    path = folder / "upload"
    path.write_bytes(content)
    with pytest.raises(Rejected) as caught:
        inspect(hostile.kind, path, isolated=isolated)
    assert [left.name for left in folder.iterdir()] == ["upload"]
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) < 1000
    return caught.value


def test_the_catalogue_is_as_large_as_it_should_be() -> None:
    kinds = [hostile.kind for hostile in CLASSES.values()]
    assert kinds.count("checkpoint") >= 40
    assert kinds.count("archive") >= 20
    assert all(hostile.code in (CODES | DATA_CODES) for hostile in CLASSES.values())


@EVERY
def test_refused_with_its_code(hostile: HostileClass, tmp_path: Path) -> None:
    for seed in SEEDS:
        content = hostile.seeded(seed)
        assert content == hostile.seeded(seed)
        # Every seed of an archive shows coverage another line; of checkpoints one does, and tracing is dear.
        traced = hostile.kind == "archive" or seed == SEEDS[-1]
        with nullcontext() if traced else untraced():
            began = time.process_time()
            assert refusal(hostile, content, tmp_path).code == hostile.code, f"seed {seed}"
            spent = time.process_time() - began
        assert spent < (TRACED_S if traced else LONGEST_S)
    assert not Path(MARKER).exists()


@EVERY
def test_refused_by_the_sandboxed_process(hostile: HostileClass, tmp_path: Path) -> None:
    began = time.monotonic()
    error = refusal(hostile, hostile.seeded(0), tmp_path, isolated=True)
    assert error.code == hostile.code
    assert time.monotonic() - began < 2 * LONGEST_S


@pytest.mark.slow
@EVERY
def test_refused_by_the_sandboxed_process_with_every_seed(hostile: HostileClass, tmp_path: Path) -> None:
    codes = [refusal(hostile, hostile.seeded(seed), tmp_path, isolated=True).code for seed in SEEDS]
    assert set(codes) == {hostile.code}
    assert not Path(MARKER).exists()


@pytest.mark.parametrize(
    "honest",
    [
        good_zip(random.Random(0)),
        with_zip64(good_zip(random.Random(0))),
        good_legacy(),
        safetensors({"w": described()}),
    ],
    ids=["zip", "zip64", "legacy", "safetensors"],
)
def test_what_the_checkpoints_are_made_of_is_honest(honest: bytes, tmp_path: Path) -> None:
    """A base that is refused by itself would make its classes prove nothing."""
    (tmp_path / "upload").write_bytes(honest)
    assert scan_checkpoint(tmp_path / "upload").tensors


def test_what_the_archives_are_made_of_is_honest(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(good_archive(random.Random(0)))
    inspected = inspect_dataset(tmp_path / "upload", tmp_path / "canonical", "clean_labelled")
    assert (inspected.images, inspected.classes) == (4, ("cat", "dog"))
