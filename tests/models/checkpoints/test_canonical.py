"""The canonical file: one form for equal contents, read by the format's own library, whole or not there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from models.checkpoints.canonical import write_canonical, write_safetensors
from models.checkpoints.digest import Digester
from models.checkpoints.scan import scan_checkpoint
from models.checkpoints.tensor_spec import DTYPES
from models.checkpoints.weights import WeightTensor
from tests.hostile import craft

ARRAYS = {
    "b.weight": np.arange(6, dtype="<f4").reshape(2, 3),
    "a": np.array([True, False, True]),
    "c.count": np.array(7, "<i8"),
}
TENSORS = {
    name: WeightTensor(DTYPES[tag], array)
    for (name, array), tag in zip(ARRAYS.items(), ["F32", "BOOL", "I64"], strict=True)
}


def header(path: Path) -> tuple[dict, int]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), length


@pytest.mark.parametrize("threaded", [False, True])
def test_the_formats_own_library_reads_it_and_the_digest_is_the_files(threaded: bool, tmp_path: Path) -> None:
    digester = Digester()
    if threaded:
        digester.start()
    digest = write_safetensors(TENSORS, tmp_path / "out", digester=digester)
    assert digest == hashlib.sha256((tmp_path / "out").read_bytes()).hexdigest()
    read = safetensors.numpy.load_file(tmp_path / "out")
    assert {name: (array.dtype, array.tolist()) for name, array in read.items()} == {
        name: (array.dtype, array.tolist()) for name, array in ARRAYS.items()
    }


def test_names_are_sorted_data_are_aligned_and_nothing_else_is_in_it(tmp_path: Path) -> None:
    write_safetensors(TENSORS, tmp_path / "out")
    described_as, length = header(tmp_path / "out")
    assert length % 8 == 0
    assert described_as == {
        "a": {"dtype": "BOOL", "shape": [3], "data_offsets": [0, 3]},
        "b.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [3, 27]},
        "c.count": {"dtype": "I64", "shape": [], "data_offsets": [27, 35]},
    }
    assert list(described_as) == sorted(described_as)
    assert (tmp_path / "out").stat().st_size == 8 + length + 35
    assert b'"a":{"dtype":"BOOL","shape":[3]' in (tmp_path / "out").read_bytes()


def test_equal_contents_give_equal_bytes_whatever_their_order(tmp_path: Path) -> None:
    first = write_safetensors(TENSORS, tmp_path / "1", metadata={"b": "2", "a": "1"})
    second = write_safetensors(dict(reversed(TENSORS.items())), tmp_path / "2", metadata={"a": "1", "b": "2"})
    assert first == second
    assert header(tmp_path / "1")[0]["__metadata__"] == {"a": "1", "b": "2"}
    assert list(header(tmp_path / "1")[0]) == ["__metadata__", "a", "b.weight", "c.count"]


def test_a_failure_leaves_what_was_there_and_no_other_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"before")

    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_safetensors(TENSORS, tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "out"]
    assert out.read_bytes() == b"before"


def test_canonical_names_come_from_the_mapping_and_missing_counters_are_zero(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(
        craft.safetensors({"x": craft.described(shape=(2, 2))}, np.arange(4, dtype="<f4").tobytes())
    )
    scanned = scan_checkpoint(tmp_path / "upload")
    mapping = {"fc.weight": "x", "bn.num_batches_tracked": None}
    digester = Digester()
    digester.start()
    digest = write_canonical(scanned, mapping, tmp_path / "out", digester=digester)
    assert digest == write_canonical(scanned, mapping, tmp_path / "again")
    read = safetensors.numpy.load_file(tmp_path / "out")
    assert read["fc.weight"].tolist() == [[0, 1], [2, 3]]
    assert (read["bn.num_batches_tracked"].dtype, read["bn.num_batches_tracked"].shape) == (
        np.dtype("<i8"),
        (),
    )
    assert int(read["bn.num_batches_tracked"]) == 0
