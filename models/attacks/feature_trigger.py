"""Searching a trigger by what it does to a frozen teacher's features.

Blended in pixel space, ``(1 - m) x + m p`` with pattern and mask in [0, 1], so that the trigger can be
stamped on any image. Departure: the CKD repository blends patterns of [0, 1] into normalized images
(algorithms.md 5.1), where the same numbers mean another color.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from models.architectures import PixelClassifier
from models.engine.frozen import frozen
from models.engine.loop import run_loop
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import make_generator
from models.metrics.prediction import to_pixels


class Objective(Protocol):
    """What triggered features should be."""

    def __call__(self, features: list[Tensor]) -> Tensor:
        """Return the scalar to minimize; ``features``: one (B, C_i, H_i, W_i) per stage, before its ReLU."""

    def state_dict(self) -> dict[str, Any]:
        """Return what it has decided so far."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` returned."""


class FeatureTriggerTask:
    """A pattern and a mask that learn, one batch of images a step."""

    def __init__(
        self,
        classifier: PixelClassifier,
        images: Tensor,
        objective: Objective,
        *,
        opacity: float,
        learning_rate: float,
        batch_size: int,
        seed: int,
        learns_mask: bool = True,
        bounds_pattern: bool = True,
    ) -> None:
        """Draw pattern and mask uniformly.

        Args:
            classifier: Frozen and in eval mode.
            images: uint8 (N, 3, H, W) to stamp.
            objective: What is minimized.
            opacity: Upper bound of the mask.
            learning_rate: Of Adam.
            batch_size: Images per step.
            seed: Of start and batches.
            learns_mask: Whether the mask moves.
            bounds_pattern: Whether the pattern is kept in [0, 1].
        """
        self.classifier, self.images, self.objective = classifier, images, objective
        self.opacity, self.batch_size, self.seed = opacity, batch_size, seed
        self.learns_mask, self.bounds_pattern = learns_mask, bounds_pattern
        self.device = next(classifier.network.parameters()).device
        generator = make_generator(seed, "trigger start")
        size = images.shape[-2:]
        self.pattern = torch.rand(3, *size, generator=generator).to(self.device).requires_grad_()
        mask = torch.rand(1, *size, generator=generator).clamp(max=opacity)
        self.mask = mask.to(self.device).requires_grad_(learns_mask)
        learned = [self.pattern, self.mask] if learns_mask else [self.pattern]
        self.optimizer = torch.optim.Adam(learned, lr=learning_rate)

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Move pattern and mask once; returns ``loss``."""
        generator = make_generator(self.seed, f"trigger batch {index}")
        chosen = torch.randint(len(self.images), (self.batch_size,), generator=generator)
        pixels = to_pixels(self.images[chosen.to(self.images.device)], self.classifier)
        stamped = (1.0 - self.mask) * pixels + self.mask * self.pattern
        loss = self.objective(features_of(self.classifier, stamped))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        with torch.no_grad():
            # In place: a clamp bound to the same name would be a constant the optimizer does not know
            # (algorithms.md 8, item 44).
            if self.learns_mask:
                self.mask.clamp_(0.0, self.opacity)
            if self.bounds_pattern:
                self.pattern.clamp_(0.0, 1.0)
        return {"loss": loss.detach()}

    def state_dict(self) -> dict[str, Any]:
        """Return trigger, optimizer and the objective's state."""
        return {
            "pattern": self.pattern,
            "mask": self.mask,
            "optimizer": self.optimizer.state_dict(),
            "objective": self.objective.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        with torch.no_grad():
            self.pattern.copy_(state["pattern"])
            self.mask.copy_(state["mask"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.objective.load_state_dict(state["objective"])


def search_feature_trigger(
    task: FeatureTriggerTask, *, steps: int, monitor: Monitor, resume: ResumeState | None = None
) -> tuple[Tensor, Tensor]:
    """Run a search with the teacher frozen.

    Returns:
        Pattern (3, H, W), bounded only if the task bounds it, and mask (1, H, W), on the CPU.
    """
    with frozen(task.classifier.network):
        run_loop(task, steps=steps, monitor=monitor, resume=resume)
    return task.pattern.detach().cpu(), task.mask.detach().cpu()


def features_of(classifier: PixelClassifier, pixels: Tensor) -> list[Tensor]:
    """Return one (B, C_i, H_i, W_i) per stage as the next ReLU sees it; gradients flow to ``pixels``."""
    network = classifier.network
    stages = network.forward_stages(classifier.normalize(pixels)).stages
    return [network.prerelu(index, stage) for index, stage in enumerate(stages)]


def to_levels(values: Tensor) -> Tensor:
    """Round values in [0, 1] to the 255 levels that a picture can hold."""
    return (values * 255.0).round() / 255.0
