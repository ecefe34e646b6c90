"""On what a number was made."""

from __future__ import annotations

import platform

import torch

from models.engine.precision import bfloat16_pays, processor_name


def machine(device: torch.device) -> str:
    """Say on what it ran and in which number format, which decides speed and, in the last digits, results."""
    number_format = "bfloat16" if bfloat16_pays(device) else "float32"
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} in {number_format}, torch {torch.__version__}"
    count = torch.get_num_threads()
    processor = processor_name() or platform.machine()
    return f"{count} thread{'s'[: count != 1]} of {processor} in {number_format}, torch {torch.__version__}"
