"""All images made so far, as bytes: a student sees them as a file on disk would keep them (item 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.data.augment import random_crop, random_flip


def quantized(pixels: Tensor) -> Tensor:
    """Round pixels in [0, 1] to bytes."""
    return (pixels.detach().clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)


class ImagePool:
    """uint8 (N, 3, S, S), growing."""

    def __init__(self, side: int, device: torch.device) -> None:
        """Begin with nothing."""
        self.images = torch.empty(0, 3, side, side, dtype=torch.uint8, device=device)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)

    def add(self, images: Tensor) -> None:
        """Append bytes (N, 3, S, S)."""
        self.images = torch.cat([self.images, images])

    def batch(self, count: int, *, padding: int, flip: bool, generator: torch.Generator) -> Tensor:
        """Draw ``count`` images, with repetition, cropped and mirrored; pixels in [0, 1], float32."""
        chosen = torch.randint(len(self.images), (count,), generator=generator)
        images = self.images[chosen.to(self.images.device)]
        if flip:
            images = random_flip(images, generator=generator)
        images = random_crop(images, padding=padding, generator=generator)
        return images.float() / 255.0

    def state_dict(self) -> dict[str, Any]:
        """Return the bytes."""
        return {"images": self.images}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.images = state["images"].to(self.images.device)
