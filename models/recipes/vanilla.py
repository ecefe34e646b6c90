"""Plain distillation on clean images: the control of every other method."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval

from models.recipes.base import recipe
from models.recipes.ood import LearningRateSchedule


@recipe
class VanillaRecipe:
    """Hinton's distillation with the constants of ABD's control (algorithms.md 2.4)."""

    images: Annotated[int, Interval(ge=64, le=1_000_000_000)] = 60_000
    """Images the student sees in all, counting repetitions."""
    batch_size: Annotated[int, Interval(ge=2, le=4_096)] = 128
    """Images per step."""
    learning_rate: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.1
    """Of SGD with momentum 0.9."""
    weight_decay: Annotated[float, Interval(ge=0.0, le=1.0)] = 5e-4
    """Of SGD."""
    schedule: LearningRateSchedule = "cosine"
    """ABD's control kept it ``constant``, which made its clean distillation artificially weak."""
    temperature: Annotated[float, Interval(gt=0.0, le=100.0)] = 6.0
    """Of both softmaxes; the loss carries T² and a mean over classes."""
    distillation_weight: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.95
    """Share of the distillation term; the rest is cross-entropy. Without labels it is all distillation.
    Chosen for 10 classes: its mean over K classes is K / 10 times smaller beside the cross-entropy."""
    crop_padding: Annotated[int, Interval(ge=0, le=32)] = 4
    """Zero pixels around an image before the random crop, at side 32; scaled with the side."""
    horizontal_flip: bool = True
    """Mirror half of the images; turn it off where mirrored images change class, as digits do."""
