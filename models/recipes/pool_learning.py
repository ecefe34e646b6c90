"""How a student learns from a pool of inverted images: what CMI and the fast method share."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval

from models.recipes.base import recipe


@recipe
class PoolLearningRecipe:
    """The student's half of CMI (Fang et al., IJCAI 2021)."""

    batch_size: Annotated[int, Interval(ge=2, le=4_096)] = 128
    """Images of the pool per step."""
    learning_rate: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.1
    """Of SGD with momentum 0.9; cosine to 0."""
    weight_decay: Annotated[float, Interval(ge=0.0, le=1.0)] = 1e-4
    """Of SGD."""
    temperature: Annotated[float, Interval(gt=0.0, le=100.0)] = 20.0
    """Of both softmaxes; the loss is a mean over the batch and multiplied by T²."""
    crop_padding: Annotated[int, Interval(ge=0, le=32)] = 4
    """Black pixels around an image before the random crop, at side 32; scaled with the side. Also where the
    images are made."""
    horizontal_flip: bool = True
    """Mirror half of the images, also where they are made; turn it off for digits and letters."""
