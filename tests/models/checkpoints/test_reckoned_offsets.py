"""Storages that lie where torch does not reckon them: it reads another network, and so they are refused."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pytest
import torch
from torch.utils.serialization import config

from models.checkpoints.codes import CODES
from models.checkpoints.scan import scan_checkpoint
from models.errors import CheckpointRejected

WEIGHTS = {f"layer{number}.weight": torch.full((64,), float(number)) for number in range(4)}


def saved(content: object, path: Path) -> bytes:
    torch.save(content, path)
    return path.read_bytes()


def with_swapped_names(content: bytes, one: bytes, other: bytes) -> bytes:
    between = b"\1" * len(one)
    return content.replace(one, between).replace(other, one).replace(between, other)


def loaded(path: Path, **options: object) -> list[float]:
    return [float(weight[0]) for weight in torch.load(path, **options).values()]


def test_storages_in_another_order_are_two_networks_and_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(with_swapped_names(saved(WEIGHTS, path), b"a/data/1", b"a/data/2"))
    assert loaded(path) == loaded(path, mmap=True) == [0, 2, 1, 3]
    with config.patch("load.calculate_storage_offsets", True):
        assert loaded(path, mmap=True) == [0, 1, 2, 3]
    with pytest.raises(CheckpointRejected) as caught:
        scan_checkpoint(path)
    assert (caught.value.code, caught.value.hint) == ("zip_malformed", CODES["zip_malformed"].hint)
    assert "calculate offsets" in caught.value.detail


@pytest.mark.parametrize("alignment", [b"97", b"00", b"6_"])
def test_an_alignment_that_is_none_or_not_the_files_is_refused(alignment: bytes, refused) -> None:
    out = io.BytesIO()
    torch.save(WEIGHTS, out)
    content = out.getvalue()
    at = content.index(b".storage_alignment")
    assert content.count(b"64", at, at + 100) == 1
    changed = content[:at] + content[at : at + 100].replace(b"64", alignment) + content[at + 100 :]
    old, new = (zlib.crc32(raw).to_bytes(4, "little") for raw in (b"64", alignment))
    assert refused(changed.replace(old, new)).code == "zip_malformed"


@pytest.mark.parametrize("alignment", [1, 64, 4096])
def test_what_torch_writes_is_read_wherever_it_reckons(alignment: int, tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    views = {
        "a": base,
        "empty": base[:0],
        "none": torch.empty(0),
        "b": base.t(),
        "bytes": torch.ones(3).byte(),
    }
    weights = views | {f"w{number}": torch.randn(number % 7) for number in range(40)}
    path = tmp_path / "a-longer-name.pt"
    with config.patch({"save.storage_alignment": alignment, "load.calculate_storage_offsets": True}):
        saved({"model": weights, "beside": [torch.empty(0), torch.ones(1)]}, path)
        model = torch.load(path, mmap=True)["model"]
    scanned = scan_checkpoint(path)
    for name, tensor in model.items():
        assert scanned.tensors[name].array.tolist() == tensor.tolist() == weights[name].tolist()
