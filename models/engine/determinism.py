"""Equal bits from equal seeds, also where a faster kernel would add in another order.

Without it a run on the CPU with one thread repeats itself exactly, as the tests of stopping and resuming
rely on; on several threads or on a GPU some kernels (scattered sums, cuDNN's fastest convolutions) add in the
order in which their parts finish. Source: torch's notes on reproducibility. It holds for one machine, one
number of threads and one version of torch; no setting makes two kinds of machine agree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

#: What cuBLAS asks for; read when its first handle is made, so it must be set before any GPU work.
CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Let torch use kernels that repeat themselves and nothing else, and restore its settings on leaving.

    Args:
        wanted: If not, nothing is changed.

    Raises:
        RuntimeError: Inside, from an operation of which torch has no such kernel.
    """
    if not wanted:
        yield
        return
    algorithms = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    workspace = os.environ.get(CUBLAS_WORKSPACE)
    os.environ.setdefault(CUBLAS_WORKSPACE, ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        if workspace is None:
            del os.environ[CUBLAS_WORKSPACE]
