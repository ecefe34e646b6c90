"""Integers that belong to an architecture, such as relative positions: a file's must be the same.

They are never loaded from a file, but ``torch.load`` and ``load_state_dict`` do load them: with others, the
network that a user runs is not the one that is examined here.
"""

from __future__ import annotations

import hashlib

import numpy as np

from models.checkpoints.tensor_spec import Array
from models.checkpoints.weights import WeightTensor


def integers_sha256(values: Array) -> str:
    """Hash integers by their values, in row-major order; which integer type they have does not matter."""
    return hashlib.sha256(values.astype("<i8").tobytes()).hexdigest()


def as_integers(weight: WeightTensor) -> Array:
    """Return what torch makes of a tensor when it copies it into a buffer of integers."""
    values = weight.array
    if weight.dtype.tag == "BF16":
        values = (values.astype("<u4") << 16).view("<f4")
    with np.errstate(invalid="ignore"):  # beyond 64 bits: some integer, as in torch
        return values.astype("<i8")
