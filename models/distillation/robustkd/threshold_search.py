"""Choosing the masks' upper bound by what a defender can measure.

The paper's Algorithm 1 stops when the attack success rate has dropped. A defender does not know the trigger:
accuracy on held-out clean images is the constraint, and two things take the place of the unknown rate: the
success of triggers that an audit recovered from the original teacher, and that of canaries (``canaries.py``)
in a copy of it. The worse of the two decides; both are reported, and how far apart they are. Without either,
accuracy decides alone. Of algorithms.md 4.6, these are not measured: accuracy of a student after a few steps
(A1), universal perturbations (A3) and agreement with shuffled copies (A5).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.architectures import PixelClassifier
from models.distillation.robustkd.feature_mask import FeatureMask
from models.distillation.robustkd.feature_variance import image_variance
from models.engine.precision import autocast, bfloat16_pays
from models.metrics import accuracy, attack_success, clean_target_rate
from models.metrics.prediction import evaluation_mode, to_pixels
from models.recipes.robustkd import RobustKDRecipe
from models.triggers import Trigger

_VARIANCE_IMAGES = 100


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
    canaries: dict[str, float] = field(default_factory=dict)
    """Success of each canary that had taken, on the detoxified copy."""
    copy_accuracy_drop: float | None = None
    """Clean accuracy of the copy minus that of the detoxified copy. A low success of a canary means little
    where the edit has ruined the copy; reported, not decided by."""

    @property
    def canary_success(self) -> float | None:
        """Highest success of any canary; None without canaries."""
        return max(self.canaries.values(), default=None)

    @property
    def worst_success(self) -> float:
        """The higher of trigger and canary success; 0 if neither was measured."""
        return max(self.trigger_success or 0.0, self.canary_success or 0.0)

    @property
    def disagreement(self) -> float | None:
        """How far apart the two are: canaries may be easier or harder to remove than what was recovered."""
        if self.trigger_success is None or self.canary_success is None:
            return None
        return abs(self.trigger_success - self.canary_success)


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
    *,
    before: float,
) -> Candidate:
    """Measure one detoxified teacher.

    In the number format in which masks and student are trained: what the student would be shown is compared
    with what it would be shown unedited, and both are rounded alike.

    Args:
        teacher: The original, on pixels.
        mask: The trained edit.
        images: Held-out clean images, uint8 (N, 3, H, W).
        labels: int64 (N,).
        triggers: Recovered ones only; a trigger that only an attacker knows must not come here.
        before: ``clean_accuracy`` of the original; no threshold changes it.
    """
    edited = DetoxifiedTeacher(teacher, mask)
    success = [rate for _, rate in _successes(edited, images, labels, triggers)]
    return Candidate(
        threshold=mask.threshold,
        accuracy_drop=before - clean_accuracy(edited, images, labels),
        trigger_success=max(success, default=None),
        # From everywhere: held-out images are sorted by class.
        variance_ratio=_variance_ratio(teacher, mask, images[:: -(-len(images) // _VARIANCE_IMAGES)]),
    )


def clean_accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the accuracy of a teacher, edited or not, in the number format of ``measure``."""
    with _fast(network):
        return accuracy(network, images, labels).value


def measure_planting(
    copy: PixelClassifier, images: Tensor, labels: Tensor, canaries: Sequence[Trigger]
) -> dict[str, float]:
    """Return by how much each canary raises the rate of its target on the copy as it is, by name.

    Success less the rate without a stamp: a copy that fine-tuning has ruined names one class for everything,
    and success alone would be 1 (algorithms.md 8, item 11). Arguments are those of ``measure``.
    """
    return {
        one.name: attack_success(copy, images, labels, one).value
        - clean_target_rate(copy, images, labels, one.target_label).value
        for one in canaries
    }


def measure_canaries(
    copy: PixelClassifier,
    mask: FeatureMask,
    images: Tensor,
    labels: Tensor,
    canaries: Sequence[Trigger],
    *,
    before: float,
) -> tuple[dict[str, float], float]:
    """Return what a threshold did to the copy: each canary's success, and the clean accuracy that was lost.

    Args:
        copy: Carries the canaries.
        mask: The copy's own, trained at that threshold.
        images: Held-out clean images, uint8 (N, 3, H, W).
        labels: int64 (N,).
        canaries: Those that had taken.
        before: ``clean_accuracy`` of the copy.
    """
    edited = DetoxifiedTeacher(copy, mask)
    drop = before - clean_accuracy(edited, images, labels)
    return dict(_successes(edited, images, labels, canaries)), drop


def _successes(
    network: nn.Module, images: Tensor, labels: Tensor, triggers: Sequence[Trigger]
) -> list[tuple[str, float]]:
    with _fast(network):
        return [(one.name, attack_success(network, images, labels, one).value) for one in triggers]


def _fast(network: nn.Module) -> AbstractContextManager[None]:
    device = next(network.parameters()).device
    return autocast(device, bfloat16_pays(device))


def _variance_ratio(teacher: PixelClassifier, mask: FeatureMask, images: Tensor) -> float:
    with evaluation_mode(teacher), torch.inference_mode():
        x = teacher.normalize(to_pixels(images, teacher))
        before = image_variance(teacher.network.forward_stages(x).stages[-1]).median()
        after = image_variance(teacher.network.forward_stages(x, mask).stages[-1]).median()
    return (after / before.clamp_min(1e-12)).item()


def acceptable(candidate: Candidate, recipe: RobustKDRecipe) -> bool:
    """Whether the search may stop here: accuracy is kept, and no recovered trigger and no canary works."""
    keeps = candidate.accuracy_drop <= recipe.max_accuracy_drop
    return keeps and candidate.worst_success <= recipe.max_trigger_success


def choose(candidates: Sequence[Candidate], recipe: RobustKDRecipe) -> Candidate:
    """Return the candidate whose worst trigger or canary succeeds least, among those that keep accuracy.

    Ties go to the earlier one. If none keeps accuracy, the one that loses least is returned: distillation
    needs a teacher that can teach.

    Args:
        candidates: At least one, in the recipe's order of preference.
        recipe: Holds the limits.
    """
    keeping = [item for item in candidates if item.accuracy_drop <= recipe.max_accuracy_drop]
    if not keeping:
        return min(candidates, key=lambda item: item.accuracy_drop)
    return min(keeping, key=lambda item: item.worst_success)
