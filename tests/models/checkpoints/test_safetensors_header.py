"""Safetensors headers that the format's own library would accept, or that would cost too much."""

from __future__ import annotations

import json

import pytest

from models.checkpoints.limits import Limits
from models.checkpoints.safetensors_header import read_safetensors
from models.checkpoints.scan import scan_checkpoint
from models.errors import CheckpointRejected


def make(header: str | bytes | dict, data: bytes = bytes(16), length: int | None = None) -> bytes:
    text = json.dumps(header) if isinstance(header, dict) else header
    raw = text.encode() if isinstance(text, str) else text
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + data


def entry(dtype: object = "F32", shape: object = (4,), offsets: object = (0, 16)) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


CASES = {
    "not_json": (make("{no}"), "safetensors_malformed"),
    "not_utf8": (make(b"{\xff}"), "safetensors_malformed"),
    "nested": (make('{"w":' + "[" * 100_000), "safetensors_malformed"),
    "huge_number": (make('{"w":' + "9" * 100_000 + "}"), "safetensors_malformed"),
    "nan": (make('{"w": NaN}'), "safetensors_malformed"),
    "duplicate": (make(f'{{"w": {json.dumps(entry())}, "w": {json.dumps(entry())}}}'), "duplicate_key"),
    "duplicate_inside": (make('{"w": {"dtype": "F32", "dtype": "F32"}}'), "duplicate_key"),
    "entry_is_list": (make({"w": [1]}), "safetensors_malformed"),
    "missing_field": (make({"w": {"dtype": "F32", "shape": [4]}}), "safetensors_malformed"),
    "extra_field": (make({"w": {**entry(), "more": 1}}), "safetensors_malformed"),
    "negative_shape": (make({"w": entry(shape=(-4,))}), "safetensors_malformed"),
    "boolean_shape": (make({"w": entry(shape=(True,))}), "safetensors_malformed"),
    "float_offsets": (make({"w": entry(offsets=(0, 16.0))}), "safetensors_malformed"),
    "one_offset": (make({"w": entry(offsets=(0,))}), "safetensors_malformed"),
    "reversed": (make({"w": entry(offsets=(16, 0))}), "safetensors_malformed"),
    "odd_bytes": (make({"w": entry(offsets=(0, 15))}), "safetensors_malformed"),
    "unknown_dtype": (make({"w": entry(dtype="F8_E4M3")}), "dtype_unsupported"),
    "dtype_is_list": (make({"w": entry(dtype=[])}), "dtype_unsupported"),
    "too_few_bytes": (make({"w": entry(shape=(5,))}), "tensor_out_of_bounds"),
    "too_many_bytes": (make({"w": entry(shape=(3,))}), "safetensors_malformed"),
    "huge_empty": (make({"w": entry(shape=(0, 10**18), offsets=(0, 0))}, b""), "limit_exceeded"),
    "huge_product_of_empty": (
        make({"w": entry(shape=(0, 2**31, 2**31, 2**31), offsets=(0, 0))}, b""),
        "limit_exceeded",
    ),
    "high_rank": (make({"w": entry(shape=(1,) * 50)}), "limit_exceeded"),
    "gap": (make({"w": entry(offsets=(4, 20))}, bytes(20)), "safetensors_malformed"),
    "overlap": (make({"a": entry(), "b": entry(shape=(3,), offsets=(4, 16))}), "safetensors_malformed"),
    "tail": (make({"w": entry()}, bytes(17)), "safetensors_malformed"),
    "past_end": (make({"w": entry(shape=(5,), offsets=(0, 20))}), "truncated_file"),
    "metadata_number": (make({"__metadata__": {"a": 1}, "w": entry()}), "safetensors_malformed"),
    "header_past_end": (make({"w": entry()}, length=10_000), "truncated_file"),
    "header_too_long": (make({"w": entry()}, length=2**62), "limit_exceeded"),
    "no_tensors": (make({}, b""), "state_dict_not_found"),
    "control_character": (make({"w\x00": entry()}), "key_invalid"),
    "traversal": (make({"../w": entry()}), "key_invalid"),
}


@pytest.mark.parametrize(("content", "code"), CASES.values(), ids=CASES.keys())
def test_refused_with_its_code(content: bytes, code: str, refused) -> None:
    assert refused(content).code == code


def test_a_header_that_is_no_object_is_refused() -> None:
    with pytest.raises(CheckpointRejected) as caught:
        read_safetensors(memoryview(make(b"[1]")), Limits())
    assert caught.value.code == "safetensors_malformed"


@pytest.mark.parametrize("length", [640, 896, 1152, 1408, 0x8B1F, 0x5A4D])
def test_header_lengths_that_spell_other_formats_are_read(length: int, write) -> None:
    header = json.dumps({"w": entry()}).ljust(length)
    assert scan_checkpoint(write(make(header))).tensors["w"].array.tolist() == [0, 0, 0, 0]
