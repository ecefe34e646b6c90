"""The safetensors header, checked more strictly than the format's own library does.

safetensors 0.8 accepts duplicate keys, names with control characters and a shape of (0, 10^18).
"""

from __future__ import annotations

import json
import math
from itertools import accumulate
from typing import Any, NoReturn

from models.checkpoints.codes import printable, rejection
from models.checkpoints.limits import Limits, require_at_most
from models.checkpoints.pickle_calls import insert
from models.checkpoints.pickle_values import Mapping
from models.checkpoints.tensor_spec import DTYPES, StorageSpec, TensorSpec, check_tensor


def read_safetensors(
    view: memoryview, limits: Limits
) -> tuple[Mapping, dict[str, memoryview], dict[str, str]]:
    """Read the header and find every tensor's bytes.

    Returns:
        A flat mapping of names to tensors, the bytes of each by name, and the metadata as text.

    Raises:
        CheckpointRejected: See ``codes``.
    """
    length = int.from_bytes(view[:8], "little")
    require_at_most(length, limits.header_bytes, "safetensors header, in bytes,")
    if 8 + length > len(view):
        raise rejection("truncated_file", "The file ends inside its safetensors header.")
    header = _parse(bytes(view[8 : 8 + length]))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or any(type(value) is not str for value in metadata.values()):
        _malformed("has metadata that are not text")
    require_at_most(len(header), limits.tensors, "number of tensors")
    root = Mapping()
    spans: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        spec, begin, end = _tensor(name, entry, limits)
        insert(root, name, spec, limits)
        spans.append((begin, end, name))
    data = view[8 + length :]
    _check_spans(sorted(spans), len(data))
    return root, {name: data[begin:end] for begin, end, name in spans}, metadata


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        _malformed("is not JSON")
    if not isinstance(header, dict):
        _malformed("is not a JSON object")
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise rejection("duplicate_key", "The safetensors header uses one name twice.")
    return made


def _no_constant(name: str) -> NoReturn:
    _malformed(f"holds {name}")


def _tensor(name: str, entry: Any, limits: Limits) -> tuple[TensorSpec, int, int]:
    shown = printable(name)
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        _malformed(f"describes {shown} by something other than dtype, shape and data_offsets")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        _malformed(f"gives {shown} a shape or offsets that are not natural numbers below 2^63")
    dtype = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        named = entry["dtype"] if isinstance(entry["dtype"], str) else "which is no text"
        raise rejection("dtype_unsupported", f"{shown} has the data type {printable(named)}.")
    begin, end = offsets
    if end < begin or (end - begin) % dtype.itemsize:
        _malformed(f"gives {shown} offsets that fit no number of elements")
    if len(shape) > limits.rank:
        raise rejection(
            "limit_exceeded", f"{shown} has {len(shape)} dimensions; at most {limits.rank} are accepted."
        )
    storage = StorageSpec(name, dtype, (end - begin) // dtype.itemsize)
    strides = tuple(accumulate((max(length, 1) for length in shape[:0:-1]), int.__mul__, initial=1))[::-1]
    spec = check_tensor(TensorSpec(storage, 0, tuple(shape), strides if shape else ()), limits)
    if math.prod(shape) != storage.elements:
        _malformed(f"gives {shown} more bytes than its shape needs")
    return spec, begin, end


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _check_spans(spans: list[tuple[int, int, str]], size_bytes: int) -> None:
    at = 0
    for begin, end, name in spans:
        if begin != at:
            _malformed(f"leaves a gap or an overlap before {printable(name)}")
        at = end
    if at > size_bytes:
        raise rejection("truncated_file", f"The file ends {at - size_bytes:,} bytes before its last tensor.")
    if at < size_bytes:
        _malformed(f"leaves {size_bytes - at:,} bytes of the file unused")


def _malformed(what: str) -> NoReturn:
    raise rejection("safetensors_malformed", f"The safetensors header {what}.")
