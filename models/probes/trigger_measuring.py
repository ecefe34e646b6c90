"""What a trigger does to a classifier, measured on images that no search has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from models.errors import RecipeError
from models.metrics import attack_success, clean_target_rate
from models.probes.probe_images import ProbeImages
from models.results.audit import TriggerReport
from models.triggers import Trigger

#: A pixel that may change by so much of its range no longer surely shows what it showed.
_BOLD = 0.3


def measure_trigger(
    teacher: nn.Module, trigger: Trigger, origin: Literal["given", "recovered"], images: ProbeImages
) -> TriggerReport:
    """Measure success and clean rate on the held-out images that are not of the target class.

    Raises:
        RecipeError: Every held-out image is of the target class (code ``nothing_to_measure``).
    """
    label = trigger.target_label
    return TriggerReport(
        name=trigger.name,
        origin=origin,
        kind=trigger.kind,
        target_label=label,
        teacher_success=attack_success(teacher, images.held_out, images.labels, trigger, teacher=teacher),
        clean_rate=clean_target_rate(teacher, images.held_out, images.labels, label, teacher=teacher),
        mask_area=trigger.mask_area,
        image_source=images.source,
    )


def hides_image(trigger: Trigger) -> bool:
    """Whether a trigger leaves so little of an image that any network may follow it, backdoored or not.

    A picture of a cat pasted over the whole image is classified as a cat.
    """
    if trigger.kind in {"additive", "rescaled"}:
        return float((trigger.pattern * trigger.mask).abs().mean()) > 0.5
    return float(trigger.mask.mean()) > 0.5


def bold_area(trigger: Trigger) -> float:
    """Return the share of the pixels that a trigger changes so much that they may show another thing.

    A picture of a class, blended in at half or added, shows that class, and benign networks go by it: of 70
    pictures of digits a clean network obeyed four. What counts is what is stamped, not the trigger's kind.
    """
    additive = trigger.kind in {"additive", "rescaled"}
    change = (trigger.pattern * trigger.mask).abs() if additive else trigger.mask
    return float((change.amax(dim=0) >= _BOLD).float().mean())


def trigger_norm(trigger: Trigger, images: Tensor) -> float:
    """Return how far stamping moves an image: the mean Euclidean norm of the change, in pixels of [0, 1].

    Args:
        trigger: What is stamped.
        images: uint8 (N, 3, H, W).
    """
    change = (trigger.stamp(images).float() - images.float()) / 255
    return float(torch.linalg.vector_norm(change.flatten(1), dim=1).mean())


def check_given(triggers: Sequence[Trigger], num_classes: int) -> None:
    """Refuse given triggers that findings could not be told apart by, or that lead nowhere.

    Raises:
        RecipeError: ``trigger_name_repeated`` or ``trigger_target_unknown``.
    """
    names = [trigger.name for trigger in triggers]
    for trigger in triggers:
        if names.count(trigger.name) > 1:
            raise RecipeError(
                f"Two triggers are named {trigger.name!r}.",
                code="trigger_name_repeated",
                hint="Findings are told apart by the trigger's name: give each one of its own.",
            )
        if trigger.target_label >= num_classes:
            raise RecipeError(
                f"Trigger {trigger.name!r} leads to class {trigger.target_label}, "
                f"the teacher has classes 0 to {num_classes - 1}.",
                code="trigger_target_unknown",
                hint="Class labels start at 0.",
            )
