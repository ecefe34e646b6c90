"""Feature distillation: the student matches the teacher's features before the activation, and the labels."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval

from models.recipes.base import recipe


@recipe
class FeatureRecipe:
    """Overhaul feature distillation (Heo et al., ICCV 2019), sized for minutes instead of 200 epochs."""

    epochs: Annotated[int, Interval(ge=1, le=1_000)] = 40
    """Passes over the training images, unless ``max_images`` ends the run before."""
    max_images: Annotated[int, Interval(ge=100, le=100_000_000)] = 40_000
    """Images shown to one student at most; both learning-rate decays stay inside whatever length results."""
    batch_size: Annotated[int, Interval(ge=2, le=1_024)] = 64
    """Images per step."""
    learning_rate: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.1
    """Of SGD with Nesterov momentum; a tenth from half of the run on, a hundredth from three quarters on."""
    momentum: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.9
    """Of SGD; it starts anew at each decay."""
    weight_decay: Annotated[float, Interval(ge=0.0, le=0.1)] = 5e-4
    """L2 penalty on the student and its connectors."""
    feature_weight: Annotated[float, Interval(ge=0.0, le=1.0)] = 1e-3
    """Weight of the feature distance, a sum over elements per image, against the labels' cross-entropy."""
    crop_padding: Annotated[int, Interval(ge=0, le=16)] = 4
    """Mirrored pixels around an image before the random crop, at side 32; scaled with the side."""
    horizontal_flip: bool = False
    """Mirror half of the images; wrong for digits, signs and letters."""
