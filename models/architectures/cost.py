"""What a network costs by its structure: parameters and multiply-accumulates."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn


def count_parameters(network: nn.Module) -> int:
    """Count the trainable numbers; BatchNorm's running statistics are not among them."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, input_size: int) -> int:
    """Count multiply-accumulates of convolutions and linear layers for one image.

    Additions, normalization and activations are left out, as the literature does (one MAC is two FLOPs).
    Runs on the meta device: nothing is computed and the network is not touched.

    Args:
        network: Takes (1, 3, S, S).
        input_size: Side S in pixels.
    """
    shadow = copy.deepcopy(network).to("meta").eval()
    total = 0

    def add(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            per_output = module.in_channels // module.groups * math.prod(module.kernel_size)
            total += output.numel() * per_output
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features

    for module in shadow.modules():
        module.register_forward_hook(add)
    with torch.inference_mode():
        shadow(torch.zeros(1, 3, input_size, input_size, device="meta"))
    return total
