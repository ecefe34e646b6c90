"""What a network costs by its structure: parameters and multiply-accumulates."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    """Count the trainable numbers; BatchNorm's running statistics are not among them."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, input_size: int) -> int:
    """Count multiply-accumulates of convolutions and matrix products, attention's too, for one image.

    Additions, normalization and activations are left out, as the literature does (one MAC is two FLOPs).
    Runs on the meta device: nothing is computed and the network is not touched.

    Args:
        network: Takes (1, 3, S, S).
        input_size: Side S in pixels.
    """
    shadow = copy.deepcopy(network).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        shadow(torch.zeros(1, 3, input_size, input_size, device="meta"))
    return int(counter.get_total_flops()) // 2
