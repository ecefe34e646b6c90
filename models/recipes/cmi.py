"""Contrastive model inversion: images recovered from the teacher, each unlike the others."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from annotated_types import Interval

from models.recipes.base import recipe
from models.recipes.inversion import BatchNormDistance, Rate, Weight
from models.recipes.pool_learning import PoolLearningRecipe


@recipe
class CmiRecipe:
    """CMI (Fang et al., IJCAI 2021) at a budget of minutes on two cores."""

    rounds: Annotated[int, Interval(ge=1, le=10_000)] = 20
    """Times a batch of images is made and the student learns; the paper takes 200."""
    synthesis_steps: Annotated[int, Interval(ge=1, le=10_000)] = 40
    """Steps of generator and noise per round, of which the best is kept; the paper takes 200."""
    synthesis_batch: Annotated[int, Interval(ge=2, le=4_096)] = 128
    """Images made per round; the paper takes 256."""
    student_steps: Annotated[int, Interval(ge=1, le=10_000)] = 60
    """Steps of the student per round, on all images made so far; the paper takes 400."""
    noise_size: Annotated[int, Interval(ge=8, le=1_024)] = 256
    """Length of the generator's input."""
    generator_width: Annotated[int, Interval(ge=8, le=512)] = 64
    """Channels of the generator's first layers; 128 in the paper."""
    generator_learning_rate: Rate = 1e-3
    """Of the Adam that moves generator and noise."""
    batchnorm_weight: Weight = 1.0
    """Of the distance between the images' statistics and those the teacher's BatchNorms have kept."""
    batchnorm_distance: BatchNormDistance = "raw"
    """``raw``: L2 norms of the differences of means and variances, as in the paper; channels of large numbers
    outweigh all others. ``relative``: root mean squares in units of each channel's running variance."""
    one_hot_weight: Weight = 1.0
    """Of the cross-entropy with the class an image is meant to be."""
    adversarial_weight: Weight = 0.5
    """Of the disagreement between student and teacher, where they still name the same class."""
    contrast_weight: Weight = 0.8
    """Of the term that tells every image from all others; 0 leaves it out and halves the time."""
    contrast_temperature: Annotated[float, Interval(gt=0.0, le=10.0)] = 0.1
    """Of the contrastive softmax."""
    projection_size: Annotated[int, Interval(ge=8, le=4_096)] = 256
    """Numbers by which an image is compared with others."""
    projection_learning_rate: Rate = 1e-3
    """Of the projection's Adam."""
    bank_size: Annotated[int, Interval(ge=0, le=1_000_000)] = 40_960
    """Images of earlier rounds whose features are remembered."""
    negatives: Annotated[int, Interval(ge=0, le=100_000)] = 512
    """Remembered images that each step compares with; the paper takes 4,096."""
    learning: PoolLearningRecipe = field(default_factory=PoolLearningRecipe)
    """The student's side."""
