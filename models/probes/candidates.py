"""What every search for triggers takes and hands back, and its loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from models.engine.monitor import Monitor, raise_if_stopped
from models.probes.image_stream import stream_batches


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
    """Images per candidate and step, B; a step classifies B x C images."""
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
        """


class SearchState(Protocol):
    """The candidates while they are searched."""

    def step(self, classifier: nn.Module, batch: Tensor) -> None:
        """Improve every candidate on pixels (B, 3, H, W) in [0, 1]."""

    def smallest(self) -> float:
        """Return the smallest size of a candidate that worked."""


def run_search(state: SearchState, classifier: nn.Module, images: Tensor, plan: SearchPlan) -> None:
    """Take the steps of a search; arguments and errors as of ``Search``."""
    batches = stream_batches(images, plan.batch_size, plan.generator)
    for step, batch in zip(range(plan.steps), batches, strict=False):
        raise_if_stopped(plan.monitor)
        state.step(classifier, batch)
        plan.monitor.progress(step + 1, plan.steps, smallest=state.smallest())
