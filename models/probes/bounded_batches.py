"""Batches whose memory is the same for small and large images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

#: Pixels per batch: 250 images of 32x32, five of 224x224.
PIXELS = 250 * 32 * 32


def images_per_batch(side: int) -> int:
    """Return how many images of ``side`` x ``side`` pixels to classify at once."""
    return max(1, PIXELS // side**2)


def pixel_batches(images: Tensor, device: torch.device) -> Iterator[Tensor]:
    """Yield images in their order, as float pixels in [0, 1] on ``device``.

    Args:
        images: uint8 (N, 3, S, S).
        device: Where the network is.
    """
    for batch in torch.split(images, images_per_batch(images.shape[-1])):
        yield batch.to(device).float() / 255
