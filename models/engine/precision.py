"""Number format and memory layout: bfloat16 and channels-last where they pay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn


def bfloat16_pays(device: torch.device) -> bool:
    """Whether convolutions run faster in bfloat16 here.

    On a CPU with tiles for it (AMX), where a WRN-16-2 trains 2.5 times as fast as in float32, and on AMD's
    with AVX-512's bfloat16, where it trains twice as fast. With the same instructions on Intel's, without
    tiles, it trains at .76 of float32's speed; emulated, it is several times slower (all channels-last; six
    networks in docs/results.md, ``benchmarks/number_formats.py``). A torch too old to name the processor's
    capabilities gets float32. On a GPU, if it has instructions for it: before Ampere torch emulates them, and
    counts that as support unless it is asked.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    processor = _cpu_capabilities()
    of_amd = processor_name().startswith("AMD")
    return bool(processor.get("amx_tile") or (of_amd and processor.get("avx512_bf16")))


def processor_name() -> str:
    """Return the processor's name as its maker gives it; empty if torch is too old to tell."""
    return str(_cpu_capabilities().get("cpu_name", "")).strip()


def _cpu_capabilities() -> Mapping[str, object]:
    named: Callable[[], Mapping[str, object]] | None = getattr(torch.cpu, "get_capabilities", None)
    return named() if named else {}


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
