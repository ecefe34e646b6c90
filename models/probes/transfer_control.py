"""The control of the transfer probe: what any perturbation of the same size would do.

A student imitates its teacher's weaknesses too, so a universal perturbation found on a benign teacher moves
to some degree. A trigger is only remarkable if it moves better than a perturbation of the same norm, confined
to the same pixels, found on the same teacher for another class.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.engine.monitor import Monitor
from models.probes.candidates import SearchPlan
from models.probes.probe_images import ProbeImages
from models.probes.trigger_measuring import trigger_norm
from models.probes.universal_perturbation import search_perturbations
from models.triggers import Trigger

#: As long as the quickest comparison of classes: a control is searched for every trigger that is followed.
STEPS, BATCH = 40, 16


def matched_control(
    teacher: nn.Module,
    trigger: Trigger,
    images: ProbeImages,
    control_label: int,
    *,
    generator: torch.Generator,
    monitor: Monitor,
) -> Trigger:
    """Search the control on the teacher.

    Args:
        teacher: Takes pixels in [0, 1]; in eval mode.
        trigger: Whose norm and pixels are matched.
        images: ``search`` is used.
        control_label: Another class than the trigger's target.
        generator: Of the start and the order of images.
        monitor: Asked before every step.

    Raises:
        Interrupted: The monitor asked to stop.
        TrainingFailed: The network broke the search (code ``non_finite``).
    """
    found = search_perturbations(
        teacher,
        images.search,
        torch.tensor([control_label]),
        SearchPlan(STEPS, BATCH, 1.0, generator, monitor),
        radius=trigger_norm(trigger, images.search),
        support=_touched(trigger),
    )
    return Trigger(
        name=f"control of {trigger.name}",
        kind="additive",
        pattern=found.patterns[0].detach().cpu().clamp(-1, 1),
        mask=found.masks[0].detach().cpu(),
        target_label=control_label,
    )


def _touched(trigger: Trigger) -> Tensor:
    """Return (1, H, W) of 0 and 1: the pixels that stamping can change."""
    if trigger.kind == "rescaled":
        return torch.ones(1, *trigger.size)
    touched = trigger.mask > 0
    if trigger.kind == "additive":
        touched = touched & (trigger.pattern != 0)
    return touched.any(dim=0, keepdim=True).float()
