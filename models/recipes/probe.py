"""The audit: which probes, and how much time they get."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval, Len

from models.recipes.base import recipe

Budget = Literal["quick", "standard", "thorough"]

Surrogates = Literal["auto", "patches", "inverted"]

Channel = Literal["ood", "vanilla", "zskt", "cmi", "fast"]


@recipe
class ProbeRecipe:
    """What the audit runs."""

    budget: Budget = "standard"
    """Overall effort; sets steps and restarts of every probe."""
    task: Annotated[str, Len(1, 64)] | None = None
    """What the teacher's classes are, and in which order, by the name that a reference set gives it, such as
    ``cifar10``: then every class is compared with the same class of the references."""
    surrogates: Surrogates = "auto"
    """What the probes search on where fewer than 50 clean images are given: ``patches`` of photographs, or
    such patches ``inverted``: moved until the teacher's BatchNorms see what they saw in training and its
    answers are spread over the classes. Those show more (docs/evaluation.md), but need a teacher with
    BatchNorm, more time, and clean references that were scored on such images. ``auto`` takes them where
    there are such references."""
    transfer: bool = True
    """Distill throw-away students, one per channel, and see whether a trigger moves over."""
    channels: Annotated[tuple[Channel, ...], Len(1, 5)] = ("ood",)
    """How they learn: each name is a method of distillation, and each channel takes the transfer probe's time
    once more. ``vanilla`` needs clean images, ``cmi`` and ``fast`` a teacher with BatchNorm; with the
    budget's images ``zskt``, ``cmi`` and ``fast`` are far shorter than in their papers (docs/verdict.md)."""
    transfer_images: Annotated[int, Interval(ge=1_000, le=1_000_000)] | None = None
    """Images a throw-away student sees at most; fewer over a channel that makes its images, so that it takes
    no longer. None takes the budget's."""
    nasty: bool = True
    """Ask whether the teacher is bad to learn from; with 200 clean images and budget ``thorough`` also by
    training pairs of small students."""
