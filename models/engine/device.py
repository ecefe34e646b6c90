"""Where a job computes: the CPU, or the machine's CUDA GPU."""

from __future__ import annotations

from typing import Literal

import torch

from models.errors import TrainingFailed

Device = Literal["cpu", "gpu"]


def choose_device(wanted: Device) -> torch.device:
    """Return the device to compute on.

    Raises:
        TrainingFailed: ``gpu_missing`` if a GPU is wanted and torch sees none. Nobody asked for a GPU to wait
            for the CPU's hours instead, so there is no silent way back.
    """
    if wanted == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TrainingFailed(
            "The job wants a GPU and this worker sees none.",
            code="gpu_missing",
            hint="Submit it with device cpu, or run the gpu queue's worker where torch.cuda.is_available().",
        )
    return torch.device("cuda")
