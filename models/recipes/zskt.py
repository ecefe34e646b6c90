"""Zero-shot knowledge transfer: a generator looks for images on which student and teacher disagree."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval

from models.recipes.base import recipe
from models.recipes.engine import Compile

Rate = Annotated[float, Interval(gt=0.0, le=1.0)]


@recipe
class ZsktRecipe:
    """ZSKT (Micaelli and Storkey, NeurIPS 2019) at a budget of minutes on two cores."""

    pseudo_batches: Annotated[int, Interval(ge=1, le=1_000_000)] = 600
    """Rounds of one batch of noise each; the paper takes 80,000."""
    batch_size: Annotated[int, Interval(ge=2, le=4_096)] = 128
    """Images per pseudo-batch."""
    student_steps: Annotated[int, Interval(ge=1, le=100)] = 10
    """Student steps per pseudo-batch, all on the same images."""
    student_learning_rate: Rate = 2e-3
    """Of the student's Adam; cosine to 0."""
    generator_learning_rate: Rate = 1e-3
    """Of the generator's Adam; cosine to 0."""
    temperature: Annotated[float, Interval(gt=0.0, le=100.0)] = 1.0
    """Of both softmaxes; ABD takes 0.5 for 43 classes. No T² factor, mean over classes."""
    attention_weight: Annotated[float, Interval(ge=0.0, le=100_000.0)] = 250.0
    """Weight of the attention term, left out where stages of student and teacher differ in number or side.
    Chosen for 10 classes: the divergence beside it is a mean over classes, so with K of them a weight of
    2,500 / K keeps the balance."""
    clip_norm: Annotated[float, Interval(gt=0.0, le=1_000.0)] = 5.0
    """Largest gradient norm of either network."""
    noise_size: Annotated[int, Interval(ge=8, le=1_024)] = 100
    """Length of the generator's input."""
    generator_width: Annotated[int, Interval(ge=8, le=512)] = 64
    """Channels of the generator's first layers; 128 in the paper, twice the time."""
    compile: Compile = "never"
    """Compile the student's step with torch.compile: faster, after about a minute. ``auto`` does so in runs
    long enough to win that minute back; without a C++ compiler the step runs as it is."""
