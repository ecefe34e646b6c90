"""Fast data-free distillation: a generator that starts every batch from what all batches have in common."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Interval

from models.recipes.base import recipe
from models.recipes.inversion import BatchNormDistance, Rate, Weight
from models.recipes.pool_learning import PoolLearningRecipe

MetaGradient = Literal["first_order", "reptile"]


@recipe
class FastRecipe:
    """FastDFKD (Fang et al., AAAI 2022) at a budget of minutes on two cores."""

    rounds: Annotated[int, Interval(ge=1, le=1_000_000)] = 200
    """Times a batch of images is made and the student learns."""
    warmup_rounds: Annotated[int, Interval(ge=0, le=100_000)] = 20
    """First rounds, in which the student does not learn and is not asked; at most half of all."""
    synthesis_steps: Annotated[int, Interval(ge=1, le=1_000)] = 5
    """Steps from the common start to a batch, of which the best is kept; the paper takes 2, 5 or 10."""
    synthesis_batch: Annotated[int, Interval(ge=2, le=4_096)] = 128
    """Images made per round."""
    student_steps: Annotated[int, Interval(ge=1, le=10_000)] = 10
    """Steps of the student per round, on all images made so far."""
    noise_size: Annotated[int, Interval(ge=8, le=1_024)] = 256
    """Length of the generator's input."""
    generator_width: Annotated[int, Interval(ge=8, le=512)] = 64
    """Channels of the generator's first layers."""
    generator_learning_rate: Rate = 5e-3
    """Of the Adam that moves a round's copy of the generator."""
    noise_learning_rate: Rate = 1.5e-2
    """Of the same Adam for the noise."""
    meta_learning_rate: Rate = 5e-3
    """Of the Adam that moves the common start, once per round."""
    meta_gradient: MetaGradient = "first_order"
    """``first_order`` sums the gradients along the round's way, as MAML does without second derivatives;
    ``reptile`` takes the way itself."""
    renew_first_layer: bool = True
    """Draw the first layer anew each round: what maps noise to features is of one batch, not common."""
    batchnorm_weight: Weight = 1.0
    """Of the distance between the images' statistics and those the teacher's BatchNorms have kept; 10 fits
    ``raw``."""
    batchnorm_distance: BatchNormDistance = "relative"
    """``raw``: L2 norms of the differences of means and variances, as in the paper; channels of large numbers
    outweigh all others. ``relative``: root mean squares in units of each channel's running variance."""
    one_hot_weight: Weight = 0.5
    """Of the cross-entropy with the class an image is meant to be."""
    adversarial_weight: Weight = 0.5
    """Of the disagreement between student and teacher, where they still name the same class."""
    statistics_momentum: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.9
    """Share of earlier rounds in the statistics; 0 asks each batch to match the teacher's by itself."""
    learning: PoolLearningRecipe = field(default_factory=PoolLearningRecipe)
    """The student's side."""
