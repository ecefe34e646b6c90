"""Number format and memory layout: bfloat16 and channels-last where they pay."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn


def bfloat16_pays(device: torch.device) -> bool:
    """Whether convolutions run faster in bfloat16 here.

    On a CPU only with tiles for it (AMX), where a WRN-16-2 trains 2.6 times as fast as in float32. With
    AVX-512's bfloat16 alone it trains at .76 of float32's speed, both channels-last (six networks in
    docs/results.md, ``benchmarks/number_formats.py``); emulated, it is several times slower.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    check: Callable[[], bool] | None = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return device.type == "cpu" and check is not None and check()


def autocast(device: torch.device, enabled: bool) -> AbstractContextManager[None]:
    """Return a bfloat16 autocast context, or one that does nothing.

    Keep it off for double backward: BatchNorm's second derivative wants float32 (algorithms.md 8, item 34).
    """
    if not enabled:
        return nullcontext()
    return torch.autocast(device_type=device.type, dtype=torch.bfloat16)


def to_channels_last(network: nn.Module) -> None:
    """Store convolution weights channels-last, in place; the network computes the same function."""
    network.to(memory_format=torch.channels_last)
