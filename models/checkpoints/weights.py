"""Turning a tensor's bytes into weights safe to compute with: contiguous and finite; subnormals are counted.

Subnormal float32 weights (below 1.2e-38) make a convolution 14 to 73 times slower on common processors. They
are kept all the same, where design/intake.md would set them to zero: behind a BatchNorm with a gain of 1e35
they hold a whole backdoor, and whoever loads the file with PyTorch has it. What is audited must be what is
loaded; a file full of them costs its own job's time limit.
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
        array: C-contiguous; read-only where it needed no copy.
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
    """Write a checked tensor out, and count what is not finite and what is subnormal in float32.

    float16 has none of the second: its smallest values are normal numbers in float32.

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
        subnormals += small
    return Materialized(WeightTensor(dtype, array), not_finite, subnormals)


def _examine(chunk: Array, dtype: DType) -> tuple[int, int]:
    """Count the not finite and the subnormal, both as float32 would have them."""
    if dtype.tag == "F16":
        return int(chunk.size - np.count_nonzero(np.isfinite(chunk))), 0
    if dtype.tag == "F64":
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.isfinite(chunk.astype(np.float32))
            small = (np.abs(chunk) < _SMALLEST_NORMAL) & (chunk != 0)
        return int(chunk.size - np.count_nonzero(finite)), int(np.count_nonzero(small))
    bits, exponent, mantissa = (
        (chunk, 0x7F80, 0x007F) if dtype.tag == "BF16" else (chunk.view("<u4"), 0x7F800000, 0x007FFFFF)
    )
    magnitude = bits & bits.dtype.type(exponent | mantissa)
    not_finite = int(np.count_nonzero(magnitude >= bits.dtype.type(exponent)))
    # Zero wraps around to the largest number, so one comparison finds subnormals.
    magnitude -= bits.dtype.type(1)
    return not_finite, int(np.count_nonzero(magnitude < bits.dtype.type(mantissa)))
