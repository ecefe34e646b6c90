"""The audit as a whole: which probes run, in which order, on which images, and what follows from them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from models.architectures import PixelClassifier
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.frozen import frozen
from models.engine.monitor import Monitor
from models.engine.seed import derive_seed, make_generator
from models.errors import RecipeError, TrainingFailed
from models.metrics import accuracy
from models.probes.advice import give_advice, name_not_tested
from models.probes.effort import EFFORTS, Effort
from models.probes.findings import Findings, suspected_classes
from models.probes.further import further_probes
from models.probes.mmbd import margin_statistics
from models.probes.portion import Portion
from models.probes.probe_images import ProbeImages, probe_images
from models.probes.transfer import Suspicion, transfer_probe
from models.probes.trigger_inversion import Kind, choose_classes, compare_classes, invert_trigger
from models.probes.trigger_measuring import hides_image, measure_trigger
from models.probes.verdict import decide, overall_hazard
from models.recipes.job import Recipe
from models.results.audit import AuditResult, ProbeResult, TransferResult, TriggerReport
from models.triggers import Trigger

#: Where each part ends, as a share of the audit. Without transfer the bar jumps at the end.
MARGINS_END, FURTHER_END, INVERSION_END = 0.12, 0.15, 0.35


@dataclass(frozen=True, eq=False)
class Audited:
    """The result, and the triggers themselves, which verification stamps on the student."""

    result: AuditResult
    recovered: tuple[Trigger, ...]
    """Only those of classes that a probe found conspicuous: a benign network's universal perturbations would
    move to any student and count against it."""


@dataclass
class _Audit:
    """One run: its inputs, and what has been found so far."""

    teacher: Teacher
    classifier: PixelClassifier
    data: AuditData
    given: Sequence[Trigger]
    recipe: Recipe
    effort: Effort
    images: ProbeImages
    monitor: Monitor
    probes: list[ProbeResult] = field(default_factory=list)
    reports: list[TriggerReport] = field(default_factory=list)
    recovered: list[Trigger] = field(default_factory=list)
    transfers: tuple[TransferResult, ...] = ()
    failures: list[str] = field(default_factory=list)

    def generator(self, stream: str) -> torch.Generator:
        """Make a probe's source of randomness; its device is where the probe computes."""
        return make_generator(self.recipe.seed, stream, self.teacher.device)


def run_audit(
    teacher: Teacher, data: AuditData, triggers: Sequence[Trigger], recipe: Recipe, monitor: Monitor
) -> Audited:
    """Ask the teacher everything that the data and the budget allow.

    Cheap and data-free comes first, so that a later, costlier probe can aim at the class that stood out.
    A probe that cannot run is reported, and does not end the audit.

    Args:
        teacher: The suspect.
        data: Clean images and photographs; all optional.
        triggers: Those the user gave, at the network's input size.
        recipe: Budget, seed and settings of the transfer channel.
        monitor: Told of every step.

    Raises:
        Interrupted: The monitor asked to stop.
        RecipeError: A given trigger's target is no class of the teacher (code ``trigger_target_unknown``).
        DataRejected: A photograph is too small to cut patches from.
    """
    started = time.monotonic()
    _check_targets(triggers, teacher.spec.num_classes)
    effort = EFFORTS[recipe.probe.budget]
    images = probe_images(
        data,
        size=teacher.spec.input_size,
        patches=effort.surrogate_images,
        style=recipe.ood.patch_style,
        seed=derive_seed(recipe.seed, "probe images"),
    )
    with frozen(teacher.pixel_classifier()) as classifier:
        audit = _Audit(teacher, classifier, data, triggers, recipe, effort, images, monitor)
        for part in (_measure_given, _probe_margins, _probe_further, _compare, _invert, _follow):
            part(audit)
        return _conclude(audit, started)


def _conclude(audit: _Audit, started: float) -> Audited:
    findings = Findings(
        probes=tuple(audit.probes),
        triggers=tuple(audit.reports),
        transfers=audit.transfers,
        failures=tuple(audit.failures),
        hiding=frozenset(trigger.name for trigger in audit.given if hides_image(trigger)),
    )
    verdict = decide(findings)
    data, hazard = audit.data, overall_hazard(audit.transfers)
    measured = None
    if data.images is not None and data.labels is not None and len(data.images):
        measured = accuracy(audit.classifier, data.images, data.labels)
    suspects = suspected_classes(audit.probes)
    result = AuditResult(
        tier=data.tier,
        verdict=verdict.word,
        target_label=verdict.target_label,
        sentence=verdict.sentence,
        evidence=verdict.evidence,
        not_tested=name_not_tested(findings, audit.images.source, data),
        advice=give_advice(verdict.word, hazard, data, audit.recipe.probe, bool(audit.given)),
        hazard=hazard,
        teacher_accuracy=measured,
        probes=findings.probes,
        triggers=findings.triggers,
        transfers=findings.transfers,
        seed=audit.recipe.seed,
        seconds=time.monotonic() - started,
    )
    return Audited(result, tuple(t for t in audit.recovered if t.target_label in suspects))


def _check_targets(triggers: Sequence[Trigger], num_classes: int) -> None:
    for trigger in triggers:
        if trigger.target_label >= num_classes:
            raise RecipeError(
                f"Trigger {trigger.name!r} leads to class {trigger.target_label}, "
                f"the teacher has classes 0 to {num_classes - 1}.",
                code="trigger_target_unknown",
                hint="Class labels start at 0.",
            )


def _measure_given(audit: _Audit) -> None:
    for trigger in audit.given:
        try:
            audit.reports.append(measure_trigger(audit.classifier, trigger, "given", audit.images))
        except RecipeError as problem:
            audit.failures.append(f"The trigger {trigger.name} could not be measured: {problem.detail}")


def _probe_margins(audit: _Audit) -> None:
    spec = audit.teacher.spec
    try:
        audit.probes.append(
            margin_statistics(
                audit.classifier,
                spec.num_classes,
                spec.input_size,
                restarts=audit.effort.margin_restarts,
                steps=audit.effort.margin_steps,
                generator=audit.generator("margins"),
                monitor=Portion(audit.monitor, 0, MARGINS_END),
            )
        )
    except TrainingFailed as problem:
        audit.failures.append(f"The margin probe could not run: {problem.detail}")


def _probe_further(audit: _Audit) -> None:
    audit.probes += further_probes(
        audit.classifier,
        audit.teacher.spec.num_classes,
        audit.data,
        audit.images,
        audit.effort,
        seed=audit.recipe.seed,
        monitor=Portion(audit.monitor, MARGINS_END, FURTHER_END),
    )


def _compare(audit: _Audit) -> None:
    """Compare the classes by patch and, where the budget allows, by perturbation."""
    if not _has_margins(audit):
        return
    kinds: tuple[Kind, ...] = ("patch", "perturbation") if audit.effort.perturbation_steps else ("patch",)
    classes = choose_classes(_by_margin(audit), audit.effort.scanned_classes)
    span = Portion(audit.monitor, FURTHER_END, INVERSION_END)
    for place, kind in enumerate(kinds):
        audit.probes.append(
            compare_classes(
                audit.classifier,
                audit.images,
                kind,
                classes=classes,
                num_classes=audit.teacher.spec.num_classes,
                effort=audit.effort,
                generator=audit.generator(f"compare {kind}"),
                monitor=Portion(span, place / 4, (place + 1) / 4),
            )
        )


def _invert(audit: _Audit) -> None:
    """Recover a patch and a perturbation for the suspected classes, else for the first by margin."""
    if not _has_margins(audit):
        return
    classes = suspected_classes(audit.probes) or (_by_margin(audit)[0],)
    kinds: tuple[Kind, ...] = ("patch", "perturbation")
    searches = [(label, kind) for label in classes for kind in kinds]
    span = Portion(audit.monitor, (FURTHER_END + INVERSION_END) / 2, INVERSION_END)
    for place, (label, kind) in enumerate(searches):
        trigger = invert_trigger(
            audit.classifier,
            audit.images,
            kind,
            label,
            effort=audit.effort,
            generator=audit.generator(f"invert {kind} {label}"),
            monitor=Portion(span, place / len(searches), (place + 1) / len(searches)),
        )
        if trigger is None:
            continue
        try:
            report = measure_trigger(audit.classifier, trigger, "recovered", audit.images)
        except RecipeError as problem:
            audit.failures.append(f"No recovered trigger could be measured: {problem.detail}")
            return
        audit.recovered.append(trigger)
        audit.reports.append(report)


def _follow(audit: _Audit) -> None:
    """Follow given triggers, and the best recovered one per class, to a throw-away student."""
    if not audit.recipe.probe.transfer or not _has_margins(audit):
        return
    followed = [*audit.given, *_best_recovered(audit)]
    if not followed:
        return
    try:
        audit.transfers = transfer_probe(
            audit.teacher,
            [Suspicion(trigger, _control_label(audit, trigger)) for trigger in followed],
            audit.images,
            audit.data,
            audit.recipe,
            most_images=audit.recipe.probe.transfer_images or audit.effort.transfer_images,
            monitor=Portion(audit.monitor, INVERSION_END, 1),
        )
    except (RecipeError, TrainingFailed) as problem:
        audit.failures.append(f"The transfer probe could not run: {problem.detail}")


def _has_margins(audit: _Audit) -> bool:
    return bool(audit.probes) and audit.probes[0].probe == "mmbd"


def _by_margin(audit: _Audit) -> list[int]:
    return [int(label) for label in torch.tensor(audit.probes[0].class_scores).argsort(descending=True)]


def _best_recovered(audit: _Audit) -> list[Trigger]:
    success = {report.name: report.teacher_success.value for report in audit.reports}
    best: dict[int, Trigger] = {}
    for trigger in audit.recovered:
        rival = best.get(trigger.target_label)
        if rival is None or success[trigger.name] > success[rival.name]:
            best[trigger.target_label] = trigger
    return list(best.values())


def _control_label(audit: _Audit, trigger: Trigger) -> int:
    """Return the class of median margin among those that nothing suspects: a typical one."""
    avoided = {*suspected_classes(audit.probes), *(given.target_label for given in audit.given)}
    others = [label for label in _by_margin(audit) if label != trigger.target_label]
    typical = [label for label in others if label not in avoided] or others
    return typical[len(typical) // 2]
