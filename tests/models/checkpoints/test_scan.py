"""Honest files, read bit for bit as torch reads them."""

from __future__ import annotations

import argparse
import io
from collections import OrderedDict, defaultdict, deque
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from models.checkpoints.limits import Limits
from models.checkpoints.scan import ScannedCheckpoint, scan_checkpoint

DTYPES = (
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)


def views(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Every way a tensor can lie in its storage."""
    base = torch.arange(-12, 12).reshape(4, 6).to(dtype)
    return {
        "contiguous": base,
        "transposed": base.t(),
        "sliced": base[1:, ::2],
        "expanded": base[:1].expand(5, 6),
        "scalar": base[0, 0],
        "empty": base[:0],
    }


def wrap(tensors: dict[str, torch.Tensor], how: str) -> tuple[object, str]:
    """Put tensors where training scripts put them; returns the object and the prefix of the names."""
    if how == "dict":
        return tensors, ""
    if how == "ordered":
        return OrderedDict(tensors), ""
    if how == "parallel":
        return OrderedDict((f"module.{name}", tensor) for name, tensor in tensors.items()), "module."
    if how == "nested":
        return {"state_dict": tensors, "epoch": 3, "best": 0.5, "arch": "wrn"}, ""
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([parameter])
    parameter.sum().backward()
    optimizer.step()
    return {"net": tensors, "optimizer": optimizer.state_dict(), "acc": np.float64(0.5)}, ""


def save(content: object, path: Path, *, legacy: bool) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def assert_same(scanned: ScannedCheckpoint, expected: dict[str, torch.Tensor]) -> None:
    assert list(scanned.tensors) == list(expected)
    for name, tensor in expected.items():
        weight = scanned.tensors[name]
        assert weight.array.shape == tuple(tensor.shape)
        assert str(tensor.dtype) == f"torch.{weight.dtype.name}"
        assert weight.array.tobytes() == raw(tensor)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("how", ["dict", "ordered", "parallel", "nested", "with_optimizer"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_equals_torch_load_bit_for_bit(dtype: torch.dtype, how: str, legacy: bool, tmp_path: Path) -> None:
    """L4: each way to lie in a storage as a file of its own, and all that share one storage: 560 files."""
    whole = views(dtype)
    for tensors in (whole, *({name: tensor} for name, tensor in whole.items())):
        content, prefix = wrap(tensors, how)
        save(content, tmp_path / "file", legacy=legacy)
        scanned = scan_checkpoint(tmp_path / "file")
        with torch.serialization.safe_globals([np._core.multiarray.scalar, np.dtype, np.dtypes.Float64DType]):
            loaded = torch.load(tmp_path / "file", weights_only=True)
        loaded = loaded.get("state_dict", loaded.get("net", loaded))
        assert_same(scanned, {name.removeprefix(prefix): tensor for name, tensor in loaded.items()})
        assert scanned.stripped_prefix == (prefix or None)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_reads_every_binary_pickle_protocol(protocol: int, tmp_path: Path) -> None:
    tensors = views(torch.float32)
    torch.save(tensors, tmp_path / "file", pickle_protocol=protocol)
    assert_same(scan_checkpoint(tmp_path / "file"), tensors)


def test_reads_a_module_state_dict_with_its_metadata(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    torch.save(network.state_dict(), tmp_path / "file")
    assert_same(scan_checkpoint(tmp_path / "file"), dict(network.state_dict()))


def test_reads_parameters_and_their_shared_storage(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.rand(4, 4))
    torch.save({"a.weight": parameter, "b.weight": parameter}, tmp_path / "file")
    scanned = scan_checkpoint(tmp_path / "file")
    assert_same(scanned, {"a.weight": parameter.detach(), "b.weight": parameter.detach()})


def test_reads_tensors_with_empty_metadata(assemble, torch_zip, write) -> None:
    whole = assemble.tensor()
    assert scan_checkpoint(write(torch_zip(assemble.state(("w", whole[:-2] + b"}tR"))))).tensors.keys() == {
        "w"
    }


def test_reads_safetensors(tmp_path: Path) -> None:
    tensors = {
        name: tensor.clone()
        for name, tensor in sorted(views(torch.bfloat16).items())
        if tensor.is_contiguous()
    }
    safetensors.torch.save_file(tensors, tmp_path / "file", metadata={"format": "pt"})
    scanned = scan_checkpoint(tmp_path / "file")
    assert scanned.format == "safetensors"
    assert {name: weight.array.tobytes() for name, weight in scanned.tensors.items()} == {
        name: raw(tensor) for name, tensor in tensors.items()
    }


def test_drops_and_names_what_lies_beside_the_weights(tmp_path: Path) -> None:
    content = {
        "net": {"w": torch.ones(2)},
        "args": argparse.Namespace(lr=0.1, path=Path("/data")),
        "history": defaultdict(list, {"loss": [1.0]}),
        "seen": {1, 2},
        "recent": deque([1.0, 2.0]),
        "random": np.random.default_rng(0).random(3),
    }
    torch.save(content, tmp_path / "file")
    dropped = scan_checkpoint(tmp_path / "file").dropped
    assert {
        "args",
        "history",
        "seen",
        "recent",
        "random",
        "argparse.Namespace",
        "collections.defaultdict",
    } <= set(dropped)


@pytest.mark.parametrize("count", [50, 51])
def test_a_long_list_of_what_was_dropped_is_shortened(count: int, tmp_path: Path) -> None:
    content = {"net": {"w": torch.ones(2)}} | {f"x{index}": index for index in range(count)}
    torch.save(content, tmp_path / "file")
    names = tuple(f"x{index}" for index in range(50))
    assert scan_checkpoint(tmp_path / "file").dropped == (names if count == 50 else (*names, "and 1 more"))


def test_entries_whose_names_are_no_text_are_counted(tmp_path: Path) -> None:
    torch.save({"net": {"w": torch.ones(2)}, 7: "seven", (1, 2): 3}, tmp_path / "file")
    assert scan_checkpoint(tmp_path / "file").dropped == ("2 entries whose names are not text",)


def test_reads_ordered_dicts_as_python_2_wrote_them(assemble, torch_zip, write) -> None:
    pairs = b"]" + b"".join(
        b"](" + assemble.text(name) + assemble.tensor(offset=offset, shape=(1,)) + b"ea"
        for offset, name in enumerate(["b", "a"])
    )
    pickled = b"\x80\x02ccollections\nOrderedDict\n" + pairs + b"\x85R."
    raw_storage = np.array([1, 2, 3, 4], "<f4").tobytes()
    tensors = scan_checkpoint(write(torch_zip(pickled, {"0": raw_storage}))).tensors
    assert {name: weight.array.tolist() for name, weight in tensors.items()} == {"b": [1], "a": [2]}


def test_keeps_and_counts_subnormals(tmp_path: Path) -> None:
    weights = torch.tensor([1e-40, -1e-40, 0.0, -0.0, 1.0, 1.2e-38])
    saved = {"w": weights, "b": weights.bfloat16(), "d": weights.double()}
    torch.save(saved, tmp_path / "file")
    scanned = scan_checkpoint(tmp_path / "file")
    assert scanned.subnormals == 6
    assert scanned.warnings == (
        "6 weights are smaller than 1.2e-38. They are kept: they slow the network down, and arithmetic that "
        "takes them for zero may compute another network.",
    )
    for name, tensor in saved.items():
        assert scanned.tensors[name].array.tobytes() == raw(tensor), name


def test_the_smallest_normal_and_the_largest_subnormal_are_told_apart(tmp_path: Path) -> None:
    smallest = torch.finfo(torch.float32).smallest_normal
    below = float(np.nextafter(np.float32(smallest), np.float32(0)))
    content = {
        "f": torch.tensor([smallest, -smallest, below, -below]),
        "d": torch.tensor([smallest, below], dtype=torch.float64),
        "b": torch.tensor([0x0080, 0x007F, -0x7F80, -0x7F81], dtype=torch.int16).view(torch.bfloat16),
    }
    torch.save(content, tmp_path / "file")
    scanned = scan_checkpoint(tmp_path / "file")
    assert scanned.subnormals == 5
    assert scanned.tensors["f"].array.tolist() == [smallest, -smallest, below, -below]
    assert scanned.tensors["d"].array.tolist() == [smallest, below]


def test_keeps_small_half_precision_weights(tmp_path: Path) -> None:
    weights = torch.tensor([6e-8, -3e-5], dtype=torch.float16)
    torch.save({"w": weights}, tmp_path / "file")
    scanned = scan_checkpoint(tmp_path / "file")
    assert (scanned.subnormals, scanned.tensors["w"].array.tobytes()) == (0, raw(weights))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_refuses_weights_that_are_not_finite(dtype, value, refused) -> None:
    out = io.BytesIO()
    torch.save({"a": torch.ones(3), "b.weight": torch.tensor([1.0, value, value], dtype=dtype)}, out)
    error = refused(out.getvalue())
    assert error.code == "not_finite"
    assert error.detail == "NaN or infinite weights: 2, the first in b.weight."


def test_counts_what_is_not_finite_over_all_tensors(refused) -> None:
    out = io.BytesIO()
    torch.save({"a": torch.ones(2), "b": torch.tensor([torch.nan]), "c": torch.full((3,), torch.inf)}, out)
    assert refused(out.getvalue()).detail == "NaN or infinite weights: 4, the first in b."


@pytest.mark.parametrize("place", [0, 65_535, 65_536, 199_999])
def test_finds_one_bad_weight_anywhere_in_a_large_tensor(place: int, refused) -> None:
    weights = torch.ones(200_000)
    weights[place] = torch.nan
    out = io.BytesIO()
    torch.save({"w": weights.view(500, 400)}, out)
    assert "weights: 1," in refused(out.getvalue()).detail


def test_counts_subnormals_anywhere_in_a_large_tensor(tmp_path: Path) -> None:
    weights = torch.ones(200_000)
    weights[[0, 65_535, 65_536, 199_999]] = 1e-39
    torch.save({"w": weights.view(500, 400)}, tmp_path / "file")
    scanned = scan_checkpoint(tmp_path / "file")
    assert scanned.subnormals == 4
    assert np.array_equal(scanned.tensors["w"].array, weights.view(500, 400).numpy())


def test_refuses_doubles_that_float32_cannot_hold(refused) -> None:
    out = io.BytesIO()
    torch.save({"w": torch.tensor([1e300], dtype=torch.float64)}, out)
    assert refused(out.getvalue()).code == "not_finite"


def test_bounds_what_expanded_storages_become(refused) -> None:
    out = io.BytesIO()
    torch.save({"w": torch.zeros(1, 1).expand(20_000, 20_000)}, out)
    error = refused(out.getvalue())
    assert error.code == "limit_exceeded"
    assert "1,600,000,000" in error.detail


@pytest.mark.parametrize("limit", ["file_bytes", "pickle_bytes", "opcodes", "memo_entries", "tensors"])
def test_every_limit_fails_closed(limit: str, refused) -> None:
    out = io.BytesIO()
    torch.save({"a": torch.ones(2), "b": torch.ones(3)}, out)
    assert refused(out.getvalue(), limits=Limits(**{limit: 1})).code == "limit_exceeded"
