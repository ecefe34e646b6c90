"""RobustKD: detoxify the teacher's features with bounded masks, then distill those features."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Interval, Len

from models.recipes.base import recipe
from models.recipes.feature import FeatureRecipe

EditMode = Literal["add", "blend"]
VarianceAxis = Literal["chw", "batch"]
EditedStages = Literal["all", "last_two", "last"]
Threshold = Annotated[float, Interval(gt=0.0, le=1.0)]


@recipe
class RobustKDRecipe:
    """RobustKD (arXiv 2406.03409): needs labelled clean images, no knowledge of the attack."""

    mode: EditMode = "blend"
    """How a mask edits a feature: ``add`` F + m f, ``blend`` (1 - m) F + m f; the paper allows both."""
    variance_axis: VarianceAxis = "chw"
    """Variance within each image over channels and positions, or of each element over the batch."""
    edited_stages: EditedStages = "all"
    """Which stages are edited; the paper found its attacks to survive where only the last ones are."""
    # Large ones first. On digits (WRN-10-2, 2 triggers, 2 seeds, 234 steps) the trigger still worked on 8 to
    # 66 % of images through masks bounded by 0.6 and on 1 to 24 % through 0.9, both at under 2 points of
    # accuracy. The paper's best was 0.1, after some 30,000 steps.
    thresholds: Annotated[tuple[Threshold, ...], Len(1, 8)] = (0.9, 0.6, 0.4, 0.2)
    """Upper bounds of the masks to try, preferred first; the first that passes both limits below is taken."""
    max_accuracy_drop: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.03
    """How much held-out clean accuracy the detoxified teacher may lose."""
    max_trigger_success: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.10
    """How often a recovered trigger or a canary may still work on the detoxified teacher."""
    # None by default: they more than double the steps; on digits they warned, and did not change the choice.
    canaries: Annotated[int, Interval(ge=0, le=3)] = 0
    """Known backdoors planted in a copy of the teacher, to see which threshold removes them; 0 for none."""
    canary_steps: Annotated[int, Interval(ge=1, le=100_000)] = 200
    """Fine-tuning steps that plant the canaries."""
    holdout_share: Annotated[float, Interval(ge=0.05, le=0.5)] = 0.1
    """Share of the labelled images kept from training to measure those two limits."""
    rounds: Annotated[int, Interval(ge=1, le=1_000)] = 40
    """Passes over the training images per threshold, unless ``max_images`` ends them before."""
    max_images: Annotated[int, Interval(ge=100, le=100_000_000)] = 15_000
    """Images shown while training one threshold's masks, at most."""
    mask_batch_size: Annotated[int, Interval(ge=2, le=1_024)] = 64
    """Images per step of mask training."""
    mask_learning_rate: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.03
    """Of Adam on masks and replacements. The paper takes 1e-3 for about 31,000 steps, not a few hundred."""
    mean_images: Annotated[int, Interval(ge=1, le=10_000)] = 100
    """Clean images whose mean feature the replacement features start from."""
    feature: FeatureRecipe = field(default_factory=FeatureRecipe)
    """The distillation that follows, and the undefended control's."""
