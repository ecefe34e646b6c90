"""The best of a round: what a synthesis keeps of its steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.distillation.inversion.image_pool import quantized
from models.errors import TrainingFailed


class BestBatch:
    """Images of the step with the lowest loss, and what else belongs to them."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.loss = math.inf
        self.images: Tensor | None = None
        self.features: tuple[Tensor, ...] = ()

    def offer(self, loss: Tensor, pixels: Tensor, *features: Tensor) -> None:
        """Keep images in [0, 1], (N, 3, S, S), if their loss, a scalar, is the lowest so far."""
        value = float(loss.detach())
        if value < self.loss:
            self.loss = value
            self.images = quantized(pixels)
            self.features = tuple(one.detach() for one in features)

    def taken(self) -> Tensor:
        """Return the images as bytes.

        Raises:
            TrainingFailed: ``non_finite`` if no step had a finite loss.
        """
        if self.images is None:
            raise TrainingFailed(
                "No step of a synthesis had a finite loss.",
                code="non_finite",
                hint="Lower the generator's learning rate or the weights of its terms.",
            )
        return self.images

    def state_dict(self) -> dict[str, Any]:
        """Return images, features and loss."""
        loss = None if self.images is None else self.loss
        return {"loss": loss, "images": self.images, "features": list(self.features)}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take up a state from ``state_dict``."""
        self.loss = math.inf if state["loss"] is None else state["loss"]
        self.images = None if state["images"] is None else state["images"].to(device)
        self.features = tuple(one.to(device) for one in state["features"])
