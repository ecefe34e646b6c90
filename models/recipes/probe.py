"""The audit: which probes, and how much time they get."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval

from models.recipes.base import recipe

Budget = Literal["quick", "standard", "thorough"]


@recipe
class ProbeRecipe:
    """What the audit runs."""

    budget: Budget = "standard"
    """Overall effort; sets steps and restarts of every probe."""
    transfer: bool = True
    """Distill a throw-away student from out-of-distribution images and see whether a trigger moves over."""
    transfer_images: Annotated[int, Interval(ge=1_000, le=1_000_000)] | None = None
    """Images the throw-away student sees. None takes the budget's."""
    nasty: bool = True
    """Ask whether the teacher is bad to learn from; with labelled images and a budget above ``quick`` also by
    training pairs of small students."""
