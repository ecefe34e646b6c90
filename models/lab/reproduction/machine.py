"""On what a number was made."""

from __future__ import annotations

import platform

import torch


def machine(device: torch.device) -> str:
    """Say on what it ran."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"{torch.get_num_threads()} threads of {platform.machine()}, torch {torch.__version__}"
