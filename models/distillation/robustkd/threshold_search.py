"""Choosing the masks' upper bound by what a defender can measure.

The paper's Algorithm 1 stops when the attack success rate has dropped. A defender does not know the trigger:
accuracy on held-out clean images is the constraint, and the success of triggers that an audit recovered from
the original teacher takes the place of the unknown one. Without a recovered trigger accuracy decides alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.architectures import PixelClassifier
from models.distillation.robustkd.feature_mask import FeatureMask
from models.distillation.robustkd.feature_variance import image_variance
from models.metrics import accuracy, attack_success
from models.metrics.prediction import evaluation_mode, to_pixels
from models.recipes.robustkd import RobustKDRecipe
from models.results.training import Decision
from models.triggers import Trigger


@dataclass(frozen=True)
class Candidate:
    """What one threshold did to the teacher, on held-out clean images."""

    threshold: float
    accuracy_drop: float
    """Clean accuracy of the original teacher minus that of the detoxified one."""
    trigger_success: float | None
    """Highest success of any recovered trigger on the detoxified teacher; None when none was recovered."""
    variance_ratio: float
    """Median image variance of the last stage's output, edited over original. Reported, never decided by:
    it is what the masks were trained to lower."""


class DetoxifiedTeacher(nn.Module):
    """The teacher with its stages edited; takes pixels in [0, 1]."""

    def __init__(self, teacher: PixelClassifier, mask: FeatureMask) -> None:
        """Wrap both; neither is copied."""
        super().__init__()
        self.teacher = teacher
        self.mask = mask

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels in [0, 1], (N, 3, H, W), to logits (N, K)."""
        return self.teacher.network.forward_stages(self.teacher.normalize(pixels), self.mask).logits


def measure(
    teacher: PixelClassifier,
    mask: FeatureMask,
    images: Tensor,
    labels: Tensor,
    triggers: Sequence[Trigger],
) -> Candidate:
    """Measure one detoxified teacher.

    Args:
        teacher: The original, on pixels.
        mask: The trained edit.
        images: Held-out clean images, uint8 (N, 3, H, W).
        labels: int64 (N,).
        triggers: Recovered ones only; a trigger that only an attacker knows must not come here.
    """
    edited = DetoxifiedTeacher(teacher, mask)
    success = [attack_success(edited, images, labels, trigger).value for trigger in triggers]
    return Candidate(
        threshold=mask.threshold,
        accuracy_drop=accuracy(teacher, images, labels).value - accuracy(edited, images, labels).value,
        trigger_success=max(success, default=None),
        variance_ratio=_variance_ratio(teacher, mask, images[:100]),
    )


def _variance_ratio(teacher: PixelClassifier, mask: FeatureMask, images: Tensor) -> float:
    with evaluation_mode(teacher), torch.inference_mode():
        x = teacher.normalize(to_pixels(images, teacher))
        before = image_variance(teacher.network.forward_stages(x).stages[-1]).median()
        after = image_variance(teacher.network.forward_stages(x, mask).stages[-1]).median()
    return (after / before.clamp_min(1e-12)).item()


def acceptable(candidate: Candidate, recipe: RobustKDRecipe) -> bool:
    """Whether the search may stop here: accuracy is kept and no recovered trigger works any more."""
    success = 0.0 if candidate.trigger_success is None else candidate.trigger_success
    return candidate.accuracy_drop <= recipe.max_accuracy_drop and success <= recipe.max_trigger_success


def choose(candidates: Sequence[Candidate], recipe: RobustKDRecipe) -> Candidate:
    """Return the candidate with the least trigger success among those that keep accuracy.

    Ties go to the earlier one. If none keeps accuracy, the one that loses least is returned: distillation
    needs a teacher that can teach.

    Args:
        candidates: At least one, in the recipe's order of preference.
        recipe: Holds the limits.
    """
    keeping = [item for item in candidates if item.accuracy_drop <= recipe.max_accuracy_drop]
    if not keeping:
        return min(candidates, key=lambda item: item.accuracy_drop)
    return min(keeping, key=lambda item: item.trigger_success or 0.0)


def describe(chosen: Candidate, candidates: Sequence[Candidate], recipe: RobustKDRecipe) -> Decision:
    """Write the choice down, with what every threshold tried had shown.

    Args:
        chosen: From ``choose``.
        candidates: All that were measured.
        recipe: Holds the limits.

    Returns:
        A decision at step 0: it falls before the student's first.
    """
    text = (
        f"Mask threshold {chosen.threshold:g} of {len(candidates)} tried: "
        f"the detoxified teacher loses {100 * chosen.accuracy_drop:.1f} points of held-out clean accuracy"
    )
    if chosen.accuracy_drop > recipe.max_accuracy_drop:
        text += f", more than the {100 * recipe.max_accuracy_drop:.1f} allowed; no threshold lost less"
    if chosen.trigger_success is None:
        text += "; no recovered trigger was given, so accuracy decided alone."
    else:
        text += f"; recovered triggers still work on at most {100 * chosen.trigger_success:.1f} % of images."
    values = {"threshold": chosen.threshold}
    for item in candidates:
        name = f"threshold_{item.threshold:g}"
        values[f"{name}_accuracy_drop"] = item.accuracy_drop
        values[f"{name}_variance_ratio"] = item.variance_ratio
        if item.trigger_success is not None:
            values[f"{name}_trigger_success"] = item.trigger_success
    return Decision(step=0, name="mask_threshold", text=text, values=values)
