"""What a network costs to store and to run."""

from __future__ import annotations

import copy
import statistics
import time
from dataclasses import dataclass

import torch
from safetensors.torch import save
from torch import nn

from models.architectures.cost import count_macs, count_parameters
from models.metrics.prediction import evaluation_mode
from models.recipes.architecture import ArchitectureSpec

_WARM_UP_RUNS = 5
_TIMED_RUNS = 30


@dataclass(frozen=True)
class Cost:
    """Size and speed of one network."""

    parameters: int
    macs: int
    """Multiply-accumulates of one image."""
    size_bytes: int
    """Of its weights and buffers as a safetensors file."""
    latency_ms: float
    """Median of one image on one thread of this machine's CPU."""


def measure_cost(network: nn.Module, spec: ArchitectureSpec) -> Cost:
    """Measure a network.

    Args:
        network: Takes normalized images; on any device, left as it is.
        spec: Says the input's size.
    """
    return Cost(
        parameters=count_parameters(network),
        macs=count_macs(network, spec.input_size),
        size_bytes=len(
            save({name: value.contiguous().cpu() for name, value in network.state_dict().items()})
        ),
        latency_ms=_latency_ms(network, spec.input_size),
    )


def _latency_ms(network: nn.Module, input_size: int) -> float:
    """Time single images on one thread, so that the number does not depend on the number of cores."""
    shadow = copy.deepcopy(network).cpu()
    image = torch.zeros(1, 3, input_size, input_size)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with evaluation_mode(shadow), torch.inference_mode():
            times = [_seconds(shadow, image) for _ in range(_WARM_UP_RUNS + _TIMED_RUNS)]
    finally:
        torch.set_num_threads(threads)
    return 1000.0 * statistics.median(times[_WARM_UP_RUNS:])


def _seconds(network: nn.Module, image: torch.Tensor) -> float:
    start = time.perf_counter()
    network(image)
    return time.perf_counter() - start
