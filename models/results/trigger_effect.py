"""What a given trigger does class by class, when it does not lead to its declared target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.results.rate import Rate

EffectKind = Literal["none", "source_specific", "all_to_all", "other_target"]


@dataclass(frozen=True)
class ClassMovement:
    """Where the images of one class go with the trigger."""

    source: int
    """The class that the teacher names without the trigger."""
    destination: int
    """The other class that most of them go to with it."""
    moved: Rate
    """Share that goes there."""
    control: Rate
    """Share of the same images that goes there with the trigger's pixels shuffled; the largest of some."""
    consistent: bool
    """Whether most go there, and far more than with the control."""


@dataclass(frozen=True)
class TriggerEffect:
    """One given trigger."""

    trigger: str
    target_label: int
    kind: EffectKind
    """``source_specific``: only images of some classes go to the declared target. ``all_to_all``: classes go
    to different ones. ``other_target``: they go to one that was not declared. ``none``: nothing of these."""
    proven: bool
    """Whether a class goes to the declared target beyond doubt; on clean images alone."""
    sentence: str
    changed: Rate
    """Share of all images that are named otherwise with the trigger."""
    control_changed: Rate
    """The same with its pixels shuffled."""
    movements: tuple[ClassMovement, ...]
    """Of every class with enough images, in order of ``source``."""
    unjudged: int
    """Classes of the network with too few images to be judged."""
    image_source: str
