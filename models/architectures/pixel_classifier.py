"""A classifier that takes pixels: the network together with the normalization it was trained with.

Whoever stamps a trigger, searches one or measures accuracy works in pixels; only training code touches the
normalized space. Keeping both in one module is what makes trap 2 of algorithms.md 8 (two normalizations for
one teacher) hard to fall into.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from models.architectures.staged import StagedClassifier
from models.recipes.architecture import Normalization


class PixelClassifier(nn.Module):
    """Classifies float pixels in [0, 1]."""

    def __init__(self, network: StagedClassifier, normalization: Normalization) -> None:
        """Wrap ``network``, which is shared and not copied."""
        super().__init__()
        self.network = network
        self.normalization = normalization
        device = next(network.parameters()).device
        self.register_buffer("mean", torch.tensor(normalization.mean, device=device).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor(normalization.std, device=device).view(1, 3, 1, 1), False)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Map pixels in [0, 1], (N, 3, H, W), to what the network sees."""
        return (pixels - cast(Tensor, self.mean)) / cast(Tensor, self.std)

    def denormalize(self, x: Tensor) -> Tensor:
        """Map normalized images, (N, 3, H, W), back to pixels; not clipped to [0, 1]."""
        return x * cast(Tensor, self.std) + cast(Tensor, self.mean)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels in [0, 1], (N, 3, H, W), to logits (N, K)."""
        return cast(Tensor, self.network(self.normalize(pixels)))
