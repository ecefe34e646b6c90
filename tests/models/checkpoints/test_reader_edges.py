"""Where the reader's limits lie, exactly: what is just inside is read, what is just outside is refused."""

from __future__ import annotations

import pickletools
from dataclasses import replace

import numpy as np
import pytest

from models.checkpoints.limits import EXPANSION_FLOOR, Limits
from models.checkpoints.scan import scan_checkpoint
from models.errors import CheckpointRejected
from tests.hostile.craft import A, described, good_legacy, safetensors, torch_zip


def one(tensor: bytes, raw: bytes = bytes(16), key: str = "0") -> bytes:
    return torch_zip(A.state(("w", tensor)), {key: raw})


HEADER = safetensors({"w": described()})
TENSOR = A.state(("w", A.tensor()))
#: After PROTO each opcode counts, and so does each element of the tuples that a call takes apart.
STEPS = sum(1 for _ in pickletools.genops(TENSOR)) - 1 + 2

#: The limit, what the file needs of it, the file.
EXACT = {
    "file": ("file_bytes", len(HEADER), HEADER),
    "pickle": ("pickle_bytes", len(TENSOR), torch_zip(TENSOR)),
    "opcodes": ("opcodes", STEPS, torch_zip(TENSOR)),
    "memo": ("memo_entries", 3, torch_zip(b"\x80\x04}" + A.text("w") + A.tensor() + b"s\x94\x94\x94.")),
    "rank": ("rank", 3, one(A.tensor((2, 1, 2), (2, 2, 1)))),
    "dimension": ("dimension", 4, one(A.tensor())),
    "materialized": ("materialized_bytes", 64, one(A.tensor((4, 4), (0, 1)))),
    "nesting": (
        "nesting",
        4,
        torch_zip(A.state(("net", b"}" + A.text("w") + A.tensor() + b"s"), ("x", b"]]]aa"))),
    ),
    "header": ("header_bytes", len(HEADER) - 24, HEADER),
    "header rank": ("rank", 3, safetensors({"w": described(shape=(2, 1, 2))})),
    "header dimension": ("dimension", 4, HEADER),
    "header tensors": ("tensors", 1, HEADER),
    "storages": ("tensors", 1, one(A.tensor())),
    "names": ("tensors", 2, torch_zip(A.state(("a", A.tensor()), ("b", A.tensor())))),
}


@pytest.mark.parametrize(("limit", "needed", "content"), EXACT.values(), ids=EXACT.keys())
def test_exactly_as_much_as_the_limit_is_accepted(limit: str, needed: int, content: bytes, write) -> None:
    path = write(content)
    assert scan_checkpoint(path, limits=replace(Limits(), **{limit: needed})).tensors
    with pytest.raises(CheckpointRejected) as caught:
        scan_checkpoint(path, limits=replace(Limits(), **{limit: needed - 1}))
    assert caught.value.code == ("nested_too_deep" if limit == "nesting" else "limit_exceeded")


def test_a_file_that_was_let_in_moves_the_limits_that_depend_on_its_size() -> None:
    limits = Limits()
    assert limits.admitting(limits.file_bytes) == limits
    wider = limits.admitting(4 * limits.file_bytes)
    assert (wider.file_bytes, wider.materialized_bytes) == (4 * limits.file_bytes, 8 * limits.file_bytes)
    assert (wider.cpu_s, wider.wall_s) == (32, 120)
    assert limits.admitting(16 * limits.file_bytes).wall_s == 192
    assert replace(wider, file_bytes=1, materialized_bytes=1, cpu_s=1, wall_s=1) == replace(
        limits, file_bytes=1, materialized_bytes=1, cpu_s=1, wall_s=1
    )


@pytest.mark.parametrize("key", ["1" * 20, "00"])
def test_storage_keys_of_twenty_digits_are_read(key: str, write) -> None:
    assert scan_checkpoint(write(one(A.tensor(storage=A.storage(key)), key=key))).tensors


def test_an_empty_storage_is_read(write) -> None:
    content = one(A.tensor((0,), storage=A.storage(elements=0)), b"")
    assert scan_checkpoint(write(content)).tensors["w"].array.shape == (0,)


def test_a_storage_as_long_as_a_file_may_be_is_asked_for_its_bytes(refused) -> None:
    longest = Limits().file_bytes
    content = one(A.tensor(storage=A.storage(elements=longest)))
    assert refused(content).code == "storage_size_mismatch"
    assert refused(one(A.tensor(storage=A.storage(elements=longest + 1)))).code == "pickle_malformed"


@pytest.mark.parametrize("stride", [2**62, 2**100])
def test_the_stride_of_a_dimension_of_length_one_does_not_matter(stride: int, write) -> None:
    content = one(A.tensor((1, 4), (stride, 1)), np.arange(4, dtype="<f4").tobytes())
    assert scan_checkpoint(write(content)).tensors["w"].array.tolist() == [[0, 1, 2, 3]]


def test_a_small_file_becomes_no_large_one(write, refused) -> None:
    rows = EXPANSION_FLOOR // 16
    assert (
        scan_checkpoint(write(one(A.tensor((rows, 4), (0, 1))))).tensors["w"].array.nbytes == EXPANSION_FLOOR
    )
    larger = one(A.tensor((rows + 1000, 4), (0, 1)))
    most_bytes = EXPANSION_FLOOR + 4 * len(larger)
    assert f"at most {most_bytes:,} are accepted" in refused(larger).detail


def test_integers_of_sixteen_bytes_are_read(write) -> None:
    content = torch_zip(
        A.state(("net", b"}" + A.text("w") + A.tensor() + b"s"), ("x", b"\x8a\x10" + bytes(16)))
    )
    assert scan_checkpoint(write(content)).dropped == ("x",)


@pytest.mark.parametrize("shape", [(2, 3, 4), (4, 1, 6), (0, 3), (3, 0, 2), ()])
def test_safetensors_of_every_shape_lie_as_they_are_written(shape: tuple[int, ...], write) -> None:
    numbers = np.arange(np.prod(shape, dtype=int), dtype="<f4").reshape(shape)
    content = safetensors({"w": described(shape=shape, offsets=(0, numbers.nbytes))}, numbers.tobytes())
    read = scan_checkpoint(write(content)).tensors["w"].array
    assert read.shape == shape
    assert read.tolist() == numbers.tolist()


def test_an_odd_number_of_bytes_before_a_tensor_is_no_fault(write) -> None:
    header = {"a": described("U8", (3,), (0, 3)), "b": described("U8", (2,), (3, 5))}
    assert scan_checkpoint(write(safetensors(header, bytes(range(5))))).tensors["b"].array.tolist() == [3, 4]


def test_offsets_beyond_what_a_file_can_have_are_no_numbers(refused) -> None:
    largest = described(offsets=(2**63 - 5, 2**63 - 1))
    assert refused(safetensors({"w": {**largest, "shape": [1]}})).detail.endswith("before w.")
    assert "natural numbers" in refused(safetensors({"w": described(offsets=(2**63 - 4, 2**63))})).detail


def test_a_file_that_ends_before_its_last_tensor_says_by_how_much(refused) -> None:
    assert refused(safetensors({"w": described()}, bytes(9))).detail == (
        "The file ends 7 bytes before its last tensor."
    )


def test_views_are_never_writable(write) -> None:
    assert not scan_checkpoint(write(HEADER)).tensors["w"].array.flags.writeable


def test_a_legacy_storage_of_a_negative_length_is_named(refused) -> None:
    assert refused(good_legacy(declared=-1)).detail == "Storage 0 has -1 elements; its declaration says 4."


def test_an_empty_view_keeps_its_type(write) -> None:
    storage = A.storage(elements=8, kind="torch\nLongStorage")
    content = one(A.tensor((0, 3), (3, 1), storage=storage), bytes(64))
    weight = scan_checkpoint(write(content)).tensors["w"]
    assert (weight.array.dtype, weight.dtype.tag) == (np.dtype("<i8"), "I64")


def test_an_empty_view_at_the_very_end_is_inside(write) -> None:
    assert scan_checkpoint(write(one(A.tensor((0,), (1,), 4)))).tensors["w"].array.size == 0


def test_declared_keys_that_are_not_there_name_those_that_are(refused) -> None:
    entry = b"}" + A.text("w") + A.tensor() + b"s"
    two = torch_zip(A.state(("ema", entry), ("net", entry)))
    assert (
        refused(two, state_dict_key="x").detail
        == "'x' is not a state dict in this file. Candidates: ema, net."
    )
    assert refused(one(A.tensor()), state_dict_key="x").detail.endswith(
        "The weights lie at the top of the file."
    )
    none = torch_zip(A.state(("x", b"N")), {})
    assert refused(none, state_dict_key="x").detail.endswith("No entry holds tensors alone.")
