"""Turning a tensor's bytes into weights safe to compute with: contiguous, finite, without subnormals.

Subnormal float32 weights make a convolution 14 to 73 times slower on common processors, so a file full of
them is a denial of service. They are below 1.2e-38 and mean nothing to a network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.checkpoints.tensor_spec import Array, DType, TensorSpec, view_tensor

#: Elements looked at together: small enough that the temporaries stay in a processor's cache.
_CHUNK = 1 << 16
_SMALLEST_NORMAL = float(np.finfo(np.float32).smallest_normal)


@dataclass(frozen=True, slots=True)
class WeightTensor:
    """One tensor of the state dict.

    Attributes:
        dtype: As stored; never converted.
        array: C-contiguous, read-only unless it had to be copied.
    """

    dtype: DType
    array: Array


@dataclass(frozen=True, slots=True)
class Materialized:
    """A tensor and what was found in its values."""

    weight: WeightTensor
    not_finite: int
    subnormals: int


def materialize(spec: TensorSpec, storage_bytes: memoryview) -> Materialized:
    """Write a checked tensor out, count what is not finite in float32, and flush what is subnormal in it.

    float16 is left alone: its smallest values are normal numbers in float32, and common in any network.

    Args:
        spec: From ``check_tensor``.
        storage_bytes: Exactly the storage's bytes.
    """
    dtype = spec.storage.dtype
    array = np.asarray(view_tensor(spec, storage_bytes), order="C")
    flat = array.reshape(-1)
    not_finite = subnormals = 0
    for start in range(0, flat.size, _CHUNK) if dtype.floating else ():
        bad, small = _examine(flat[start : start + _CHUNK], dtype)
        not_finite += bad
        if small.size:
            if not subnormals:
                array = array.copy()
                flat = array.reshape(-1)
            subnormals += small.size
            # At once: places kept to the end took eight bytes each, four times the tensor of a file full of
            # subnormal bfloat16 (the fuzzer's peak of 405 MiB).
            _flush(flat[start : start + _CHUNK], small, dtype)
    return Materialized(WeightTensor(dtype, array), not_finite, subnormals)


def _examine(chunk: Array, dtype: DType) -> tuple[int, Array]:
    """Count the not finite, and give the places of the subnormal, both as float32 would have them."""
    if dtype.tag == "F16":
        return int(chunk.size - np.count_nonzero(np.isfinite(chunk))), np.empty(0, np.intp)
    if dtype.tag == "F64":
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.isfinite(chunk.astype(np.float32))
            small = (np.abs(chunk) < _SMALLEST_NORMAL) & (chunk != 0)
        return int(chunk.size - np.count_nonzero(finite)), np.flatnonzero(small)
    bits, exponent, mantissa = (
        (chunk, 0x7F80, 0x007F) if dtype.tag == "BF16" else (chunk.view("<u4"), 0x7F800000, 0x007FFFFF)
    )
    magnitude = bits & bits.dtype.type(exponent | mantissa)
    not_finite = int(np.count_nonzero(magnitude >= bits.dtype.type(exponent)))
    magnitude -= bits.dtype.type(
        1
    )  # zero wraps around to the largest number, so one comparison finds subnormals
    return not_finite, np.flatnonzero(magnitude < bits.dtype.type(mantissa))


def _flush(flat: Array, places: Array, dtype: DType) -> None:
    """Set elements to zero, keeping the sign as processors do."""
    if dtype.tag == "BF16":
        flat[places] &= flat.dtype.type(0x8000)
    else:
        flat[places] = np.copysign(flat.dtype.type(0), flat[places])
