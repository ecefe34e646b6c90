"""A BatchNorm whose output is bounded per channel.

It stays an ``nn.BatchNorm2d`` with the same parameters and buffers, so whatever looks for one (margins,
statistics, the Shuffling Vaccine's copies) finds it; the bounds are two more buffers.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class ClippedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm over (N, C, H, W), its output clamped to ``[floor, ceiling]``, (C,) each."""

    floor: Tensor
    ceiling: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        """Take over the parameters and buffers of ``norm``, shared; the bounds are infinite at first."""
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self._parameters = norm._parameters
        self._buffers = dict(norm._buffers)
        self.training = norm.training
        place = cast(Tensor, norm.running_mean)
        self.register_buffer("ceiling", torch.full_like(place, torch.inf))
        self.register_buffer("floor", torch.full_like(place, -torch.inf))

    def bound(self, output: Tensor) -> Tensor:
        """Clamp what a BatchNorm returned, (N, C, H, W)."""
        floor = self.floor.view(1, -1, 1, 1)
        ceiling = self.ceiling.view(1, -1, 1, 1)
        return output.clamp(floor.to(output), ceiling.to(output))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize and clamp (N, C, H, W)."""
        return self.bound(super().forward(x))


def clip_norms(network: nn.Module) -> list[tuple[str, ClippedBatchNorm2d]]:
    """Put clipped BatchNorms, still without bounds, in place of all BatchNorms of ``network``.

    Returns:
        Dotted name and module of each, in registration order.
    """
    found = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    clipped = []
    for name, norm in found:
        parent, _, child = name.rpartition(".")
        bounded = ClippedBatchNorm2d(norm)
        setattr(network.get_submodule(parent), child, bounded)
        clipped.append((name, bounded))
    return clipped
