"""A hand-made network with a backdoor whose size and place are known, so that no test has to train one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, softplus

from models.architectures import ChainedClassifier
from models.checkpoints.load import Teacher
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.triggers import Trigger

SIZE = 16
NUM_CLASSES = 4


def checkerboard(target_label: int = 2) -> Trigger:
    """A 3x3 checkerboard in the lower right corner."""
    pattern, mask = torch.zeros(3, SIZE, SIZE), torch.zeros(1, SIZE, SIZE)
    mask[:, -3:, -3:] = 1
    pattern[:, -3:, -3:] = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    return Trigger("checkerboard", "replace", pattern, mask, target_label)


class QuadrantNetwork(nn.Module):
    """Names the brightest quadrant; with ``strength``, a checkerboard overrules it.

    Takes pixels in [0, 1], (N, 3, 16, 16); logits (N, 4).
    """

    def __init__(self, *, strength: float, target_label: int = 2) -> None:
        super().__init__()
        trigger = checkerboard(target_label)
        self.register_buffer("detector", (2 * trigger.pattern - 1) * trigger.mask / 15)
        self.strength, self.target_label = strength, target_label

    def forward(self, pixels: Tensor) -> Tensor:
        logits = 10 * avg_pool2d(pixels.mean(1, keepdim=True), SIZE // 2).flatten(1)
        match = (pixels * self.detector).flatten(1).sum(1)
        # Soft at the foot, as trained networks are: a hard hinge would have no gradient to climb.
        bonus = self.strength * softplus(8 * (match - 0.5)) / 8
        return logits + bonus[:, None] * torch.eye(NUM_CLASSES)[self.target_label]


class CountingNetwork(QuadrantNetwork):
    """Notes how many images it is shown at once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.batches: list[int] = []

    def forward(self, pixels: Tensor) -> Tensor:
        self.batches.append(len(pixels))
        return super().forward(pixels)


class BreakingNetwork(QuadrantNetwork):
    """Answers with no number where a pixel is brighter than any of the images, and none is black.

    So it knows images, and the noise that margins climb from, but not what searches make of images.
    """

    def forward(self, pixels: Tensor) -> Tensor:
        logits = super().forward(pixels)
        changed = (pixels.amax((1, 2, 3)) > 0.71) & (pixels.amin((1, 2, 3)) > 0.02)
        return torch.where(changed[:, None], torch.nan, logits)


class StagedQuadrants(ChainedClassifier):
    """The same network in the shape that teachers have; what it returns depends on ``forward`` alone."""

    stage_channels = ()

    def __init__(self, network: QuadrantNetwork) -> None:
        super().__init__()
        self.quadrants = network
        self.scale = nn.Parameter(torch.ones(()))

    def stem(self, x: Tensor) -> Tensor:
        return x

    def stage(self, index: int, x: Tensor) -> Tensor:
        raise IndexError(index)

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.scale * self.quadrants(x), x.flatten(1)

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        raise IndexError(index)

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        raise IndexError(index)


def planted_teacher(*, strength: float, target_label: int = 2) -> Teacher:
    network = StagedQuadrants(QuadrantNetwork(strength=strength, target_label=target_label)).eval()
    return Teacher(network, Normalization(), ArchitectureSpec("wrn-16-1", NUM_CLASSES, SIZE))


def quadrant_images(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise with one brighter quadrant: uint8 (N, 3, 16, 16) and the quadrant, int64 (N,)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(40, 120, (count, 3, SIZE, SIZE), generator=generator)
    labels = torch.randint(NUM_CLASSES, (count,), generator=generator)
    half = SIZE // 2
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = divmod(label, 2)
        image[:, row * half : (row + 1) * half, column * half : (column + 1) * half] += 60
    return images.to(torch.uint8), labels
