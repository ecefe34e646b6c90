"""Which triggers the audit follows to throw-away students, and beside which control."""

from __future__ import annotations

from models.engine.monitor import Monitor
from models.errors import RecipeError, TrainingFailed
from models.probes.audit_run import AuditRun
from models.probes.findings import suspected_classes
from models.probes.transfer import Suspicion, transfer_probe
from models.recipes.probe_catalog import CHANNEL_IMAGES
from models.triggers import Trigger


def follow(audit: AuditRun, monitor: Monitor) -> None:
    """Follow given triggers, and the best recovered one per class, to a throw-away student per channel."""
    if not audit.recipe.probe.transfer or not audit.has_margins:
        return
    followed = [*audit.given, *_best_recovered(audit)]
    if not followed:
        return
    try:
        matrix = transfer_probe(
            audit.teacher,
            [Suspicion(trigger, _control_label(audit, trigger)) for trigger in followed],
            audit.images,
            audit.data,
            audit.recipe,
            most_images=audit.recipe.probe.transfer_images or audit.effort.transfer_images,
            monitor=monitor,
        )
    except (RecipeError, TrainingFailed) as problem:
        audit.failures.append(f"The transfer probe could not run: {problem.detail}")
        return
    audit.transfers, audit.channels = matrix.cells, matrix.channels
    audit.failures += [
        f"The transfer probe could not run over {CHANNEL_IMAGES[told.channel]}: {told.reason}"
        for told in matrix.channels
        if told.failed
    ]


def _best_recovered(audit: AuditRun) -> list[Trigger]:
    success = {report.name: report.teacher_success.value for report in audit.reports}
    best: dict[int, Trigger] = {}
    for trigger in audit.recovered:
        rival = best.get(trigger.target_label)
        if rival is None or success[trigger.name] > success[rival.name]:
            best[trigger.target_label] = trigger
    return list(best.values())


def _control_label(audit: AuditRun, trigger: Trigger) -> int:
    """Return the class of median margin among those that nothing suspects: a typical one."""
    avoided = {*suspected_classes(audit.probes), *(given.target_label for given in audit.given)}
    others = [label for label in audit.classes_by_margin() if label != trigger.target_label]
    typical = [label for label in others if label not in avoided] or others
    return typical[len(typical) // 2]
