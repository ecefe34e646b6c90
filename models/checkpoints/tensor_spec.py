"""A tensor before its bytes are touched: integers only, checked against its storage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.checkpoints.codes import rejection
from models.checkpoints.limits import Limits

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class DType:
    """A data type as torch, safetensors and NumPy know it."""

    name: str
    """torch's name, such as ``float32``."""
    tag: str
    """safetensors' name, such as ``F32``."""
    numpy: np.dtype[Any]
    """Little-endian NumPy type; bfloat16, which NumPy lacks, is held as its 16 bits."""

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.numpy.itemsize

    @property
    def floating(self) -> bool:
        """Whether weights may have this type."""
        return self.tag in {"F16", "BF16", "F32", "F64"}


DTYPES: Mapping[str, DType] = {
    made.tag: made
    for made in (
        DType("float16", "F16", np.dtype("<f2")),
        DType("bfloat16", "BF16", np.dtype("<u2")),
        DType("float32", "F32", np.dtype("<f4")),
        DType("float64", "F64", np.dtype("<f8")),
        DType("int64", "I64", np.dtype("<i8")),
        DType("int32", "I32", np.dtype("<i4")),
        DType("uint8", "U8", np.dtype("u1")),
        DType("bool", "BOOL", np.dtype("?")),
    )
}


@dataclass(frozen=True, slots=True)
class StorageSpec:
    """A flat run of elements that tensors view."""

    key: str
    dtype: DType
    elements: int

    @property
    def size_bytes(self) -> int:
        """Bytes the file must hold for it."""
        return self.elements * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A strided view of one storage; offset and strides count elements."""

    storage: StorageSpec
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of elements, counting every repetition of an expanded storage."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes after writing it out contiguously."""
        return self.elements * self.storage.dtype.itemsize


def check_tensor(spec: TensorSpec, limits: Limits) -> TensorSpec:
    """Return ``spec`` if every element it names lies inside its storage.

    Raises:
        CheckpointRejected: ``limit_exceeded`` or ``tensor_out_of_bounds``.
    """
    rank = len(spec.shape)
    if rank > limits.rank or any(not 0 <= length <= limits.dimension for length in spec.shape):
        raise rejection(
            "limit_exceeded",
            f"A tensor has {rank} dimensions of up to {max(spec.shape):,}; at most {limits.rank} dimensions "
            f"of 0 to {limits.dimension:,} are accepted.",
        )
    # NumPy multiplies the other lengths of an empty tensor, too, and refuses what it cannot hold.
    span = math.prod(length for length in spec.shape if length) * spec.storage.dtype.itemsize
    if not spec.elements and span > limits.materialized_bytes:
        raise rejection(
            "limit_exceeded",
            f"An empty tensor has other dimensions that stand for {span:,} bytes; at most "
            f"{limits.materialized_bytes:,} are accepted.",
        )
    if len(spec.strides) != rank or spec.offset < 0 or any(stride < 0 for stride in spec.strides):
        raise rejection(
            "tensor_out_of_bounds",
            "A tensor has a negative offset or stride, or not one stride per dimension.",
        )
    reach = sum((length - 1) * stride for length, stride in zip(spec.shape, spec.strides, strict=True))
    last = spec.offset + reach if spec.elements else spec.offset - 1
    if last >= spec.storage.elements:
        raise rejection(
            "tensor_out_of_bounds",
            f"A tensor reaches element {last:,} of a storage that has {spec.storage.elements:,}.",
        )
    return spec


def view_tensor(spec: TensorSpec, storage_bytes: memoryview) -> Array:
    """View the elements of a checked ``spec`` in its storage's bytes, without copying and read-only."""
    dtype = spec.storage.dtype.numpy
    if not spec.elements:
        return np.zeros(spec.shape, dtype)
    flat = np.frombuffer(storage_bytes, dtype=dtype, count=spec.storage.elements)
    # Along a dimension of length one nobody steps: its stride may be any number, even one NumPy cannot hold.
    steps = zip(spec.shape, spec.strides, strict=True)
    strides = tuple(stride * dtype.itemsize if length > 1 else 0 for length, stride in steps)
    return np.lib.stride_tricks.as_strided(flat[spec.offset :], spec.shape, strides, writeable=False)
