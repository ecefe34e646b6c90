"""A small network of the registry, untrained: what weights and features say of it is set by the tests."""

from __future__ import annotations

import torch

from models.architectures import PixelClassifier, build
from models.recipes.architecture import ArchitectureSpec, Normalization

NUM_CLASSES = 6
SIZE = 8


def small_classifier(seed: int = 0) -> PixelClassifier:
    """A WRN-10-1 for 6 classes of 8x8 images, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(ArchitectureSpec("wrn-10-1", NUM_CLASSES, SIZE))
    return PixelClassifier(network.eval().requires_grad_(False), Normalization())


def noise_images(count: int, seed: int = 0) -> torch.Tensor:
    """uint8 (N, 3, 8, 8)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
