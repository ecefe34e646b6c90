"""What every search for triggers takes and hands back, and its loop.

The classes of a search are independent of each other, so they are searched a few at a time: all at once,
1,000 classes at 16 images each would be 16,000 images with gradients in one batch. What is held for a class
that waits or is done, its start and its trigger, are 32 bytes a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from models.engine.monitor import Monitor, raise_if_stopped
from models.errors import TrainingFailed
from models.probes.bounded_batches import images_per_batch
from models.probes.image_stream import stream_batches
from models.probes.portion import Portion


@dataclass(frozen=True, eq=False)
class Candidates:
    """The smallest working trigger per searched class, C of them.

    ``patterns`` is (C, 3, H, W): colors in [0, 1] of a patch, or differences of an additive trigger.
    ``masks`` is (C, 1, H, W), in [0, 1]. ``sizes`` (C,) is what the search made small; where nothing worked,
    the largest size that the search would still have tried. ``reached`` (C,) tells where something worked.
    """

    patterns: Tensor
    masks: Tensor
    sizes: Tensor
    reached: Tensor


@dataclass(frozen=True, eq=False)
class SearchPlan:
    """How long a search lasts, and on what it draws."""

    steps: int
    """Of the optimizer."""
    batch_size: int
    """Images per candidate and step, B; a step classifies at most ``images_per_batch`` of them, or B."""
    goal: float
    """A trigger works when at least this share of the running average of its batches goes to the target."""
    generator: torch.Generator
    """Of the starts and the order of images; its device is where the search runs."""
    monitor: Monitor
    """Asked before every step."""


class Search(Protocol):
    """One kind of trigger searched for several classes at once; its sizes can be compared among classes."""

    def __call__(
        self, classifier: nn.Module, images: Tensor, target_labels: Tensor, plan: SearchPlan
    ) -> Candidates:
        """Search one trigger per entry of ``target_labels``.

        Args:
            classifier: Takes pixels in [0, 1] and returns logits.
            images: uint8 (N, 3, H, W) to put triggers on in the search.
            target_labels: int64 (C,); repeat a class to start it more than once.
            plan: How long, and on what.

        Raises:
            Interrupted: The monitor asked to stop.
            TrainingFailed: An answer is not finite (code ``non_finite``).
        """


class SearchState(Protocol):
    """Some candidates while they are searched."""

    def step(self, classifier: nn.Module, batch: Tensor) -> None:
        """Improve every candidate on pixels (B, 3, H, W) in [0, 1]."""

    def smallest(self) -> float:
        """Return the smallest size of a candidate that worked."""

    def found(self) -> Candidates:
        """Return the best so far."""


class _Watched(nn.Module):
    """A network, and whether all its answers were numbers.

    One that is none ends a search, whose gradients are none either from then on. That nothing works is no
    finding then: a network can be made to break on what searches begin with and on nothing else.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier, self.finite = classifier, torch.tensor(data=True)

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.classifier(pixels)
        self.finite = logits.detach().isfinite().all() & self.finite.to(logits.device)
        return logits


def search_by_parts(
    begin: Callable[[slice], SearchState], classifier: nn.Module, images: Tensor, count: int, plan: SearchPlan
) -> Candidates:
    """Search all candidates, as many at a time as ``images_per_batch`` allows, one at least.

    Every part sees the same images in the same order, and so finds what one search of all would: the starts
    must have been drawn before. Other arguments and errors as of ``Search``.

    Args:
        begin: Makes the search of some candidates, by their places.
        count: C.
    """
    size = max(1, images_per_batch(images.shape[-1]) // plan.batch_size)
    order = plan.generator.get_state()
    parts = []
    for start in range(0, count, size):
        plan.generator.set_state(order)
        span = Portion(plan.monitor, start / count, min(1, (start + size) / count))
        state = begin(slice(start, start + size))
        watched = _Watched(classifier)
        _run(state, watched, images, replace(plan, monitor=span))
        if not bool(watched.finite):
            raise TrainingFailed(
                "On images that a search changed, the network's answers are not finite.", code="non_finite"
            )
        parts.append(state.found())
    joined = {
        field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Candidates)
    }
    return Candidates(**joined)


def _run(state: SearchState, classifier: nn.Module, images: Tensor, plan: SearchPlan) -> None:
    batches = stream_batches(images, plan.batch_size, plan.generator)
    for step, batch in zip(range(plan.steps), batches, strict=False):
        raise_if_stopped(plan.monitor)
        state.step(classifier, batch)
        plan.monitor.progress(step + 1, plan.steps, smallest=state.smallest())
