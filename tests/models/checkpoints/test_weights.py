"""What becomes of a tensor's bytes; the values themselves are tested with whole files, in test_scan.py."""

from __future__ import annotations

import tracemalloc

import numpy as np

from models.checkpoints.tensor_spec import DTYPES, StorageSpec, TensorSpec
from models.checkpoints.weights import materialize


def test_counting_a_tensor_full_of_subnormals_takes_less_memory_than_a_copy() -> None:
    """The fuzzer's peak of 405 MiB: a list of places takes eight bytes each, four times such a tensor."""
    bits = np.full(4_000_000, 0x0001, "<u2")
    storage = StorageSpec("0", DTYPES["BF16"], bits.size)
    content = memoryview(bits.tobytes())
    tracemalloc.start()
    try:
        made = materialize(TensorSpec(storage, 0, (bits.size,), (1,)), content)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.subnormals == bits.size
    assert peak_bytes < bits.nbytes
