"""The audit as a whole: which probes run, in which order, on which images, and what follows from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.monitor import Monitor
from models.engine.seed import derive_seed
from models.errors import RecipeError, TrainingFailed
from models.metrics import accuracy
from models.probes.advice import give_advice, name_not_tested
from models.probes.audit_run import AuditRun, begin
from models.probes.calibration.apply import calibrate
from models.probes.calibration.conditions import conditions_of
from models.probes.calibration.read_set import shipped_sets
from models.probes.calibration.reference_set import ReferenceSet
from models.probes.doubts import NO_DOUBT, Doubts, crowding
from models.probes.findings import Findings, suspected_classes
from models.probes.followed_triggers import follow
from models.probes.further import further_probes
from models.probes.mmbd import margin_statistics
from models.probes.not_run import could_not_run
from models.probes.portion import Portion
from models.probes.trigger_effect import look_class_by_class
from models.probes.trigger_inversion import (
    PROBE_NAMES,
    Compared,
    Kind,
    choose_classes,
    compare_classes,
    invert_trigger,
)
from models.probes.trigger_measuring import bold_area, check_given, hides_image, measure_trigger
from models.probes.undistillable.questions import ask_undistillable
from models.probes.undistillable.weigh_students import harms_students
from models.probes.verdict import decide, overall_hazard
from models.recipes.job import Recipe
from models.results.audit import AuditResult, ProbeResult
from models.triggers import Trigger


@dataclass(frozen=True, eq=False)
class Audited:
    """The result, and the triggers themselves, which verification stamps on the student."""

    result: AuditResult
    recovered: tuple[Trigger, ...]
    """Only those of classes that a probe found conspicuous: a benign network's universal perturbations would
    move to any student and count against it. No given trigger has a part in them: they tune RobustKD."""


def run_audit(
    teacher: Teacher,
    data: AuditData,
    triggers: Sequence[Trigger],
    recipe: Recipe,
    monitor: Monitor,
    *,
    sets: Sequence[ReferenceSet] = (),
    doubts: Doubts = NO_DOUBT,
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
        sets: Clean reference networks, looked through before those that come with the library.
        doubts: From ``doubts_of``; what the images say themselves is asked here.

    Raises:
        Interrupted: The monitor asked to stop.
        RecipeError: A given trigger's target is no class of the teacher (code ``trigger_target_unknown``), or
            two of them have one name (``trigger_name_repeated``).
        DataRejected: A photograph is too small to cut patches from.
    """
    started = time.monotonic()
    check_given(triggers, teacher.spec.num_classes)
    sets = (*sets, *shipped_sets())
    with begin(teacher, data, triggers, recipe, monitor, sets=sets) as audit:
        for part in (_measure_given, look_class_by_class, *SCORED):
            part(audit)
        conditions = conditions_of(teacher.spec, data, audit.recipe)
        audit.probes, audit.calibration = calibrate(
            audit.probes, conditions, sets, recipe.probe.task, own_sha256=teacher.sha256
        )
        for part in (_probe_further, _invert, _follow, _learn_from):
            part(audit)
        return _conclude(audit, started, doubts)


def run_scored_probes(
    teacher: Teacher, data: AuditData, recipe: Recipe, monitor: Monitor
) -> tuple[tuple[ProbeResult, ...], tuple[str, ...]]:
    """Run the probes of the calibrated verdict alone, as an audit does; what makes references.

    Returns:
        Their uncalibrated results, and why a probe that should have run gave none, or what it gave means
        nothing: a network that gets no answer from an audit is no reference for others.

    Raises:
        Interrupted: The monitor asked to stop.
    """
    with begin(teacher, data, (), recipe, monitor) as audit:
        for part in SCORED:
            part(audit)
        return tuple(audit.probes), tuple(filter(None, (*audit.failures, audit.crowded)))


def _conclude(audit: AuditRun, started: float, doubts: Doubts) -> Audited:
    findings = Findings(
        probes=tuple(audit.probes),
        triggers=tuple(audit.reports),
        transfers=audit.transfers,
        failures=tuple(audit.failures),
        hiding=_hiding(audit),
        bold={trigger.name: bold_area(trigger) for trigger in audit.given},
        calibration=audit.calibration,
        channels=audit.channels,
        effects=tuple(audit.effects),
        doubts=replace(doubts, misfit=doubts.misfit or audit.crowded),
        harms_students=_harms_students(audit),
    )
    verdict = decide(findings)
    data, hazard = audit.data, overall_hazard(audit.transfers)
    measured = None
    if data.images is not None and data.labels is not None and len(data.images):
        measured = accuracy(audit.classifier, data.images, data.labels)
    result = AuditResult(
        tier=audit.images.tier,
        verdict=verdict.word,
        target_label=verdict.target_label,
        sentence=verdict.sentence,
        evidence=verdict.evidence,
        not_tested=name_not_tested(findings, audit.images.source, data),
        advice=give_advice(verdict.word, hazard, data, audit.recipe.probe, findings),
        hazard=hazard,
        teacher_accuracy=measured,
        probes=findings.probes,
        triggers=findings.triggers,
        transfers=findings.transfers,
        seed=audit.recipe.seed,
        seconds=time.monotonic() - started,
        calibration=audit.calibration,
        undistillable=audit.undistillable,
        channels=audit.channels,
        effects=findings.effects,
        image_source=audit.images.source,
    )
    suspects = suspected_classes(audit.probes)
    return Audited(result, tuple(t for t in audit.recovered if t.target_label in suspects))


def _harms_students(audit: AuditRun) -> bool:
    learning = audit.undistillable
    return learning is not None and learning.students is not None and harms_students(learning.students)


def _hiding(audit: AuditRun) -> frozenset[str]:
    """Name the given triggers that leave too little of an image to prove anything."""
    return frozenset(trigger.name for trigger in audit.given if hides_image(trigger))


def _measure_given(audit: AuditRun) -> None:
    for trigger in audit.given:
        try:
            audit.reports.append(measure_trigger(audit.classifier, trigger, "given", audit.images))
        except RecipeError as problem:
            audit.failures.append(f"The trigger {trigger.name} could not be measured: {problem.detail}")


def _probe_margins(audit: AuditRun) -> None:
    spec = audit.teacher.spec
    try:
        margins = margin_statistics(
            audit.classifier,
            spec.num_classes,
            spec.input_size,
            restarts=audit.effort.margin_restarts,
            steps=audit.effort.margin_steps,
            generator=audit.generator("margins"),
            monitor=audit.portion("margins"),
        )
    except TrainingFailed as problem:
        audit.failures.append(f"The margin probe could not run: {problem.detail}")
        return
    audit.probes.append(margins)
    audit.crowded = crowding(audit.classifier, audit.images, margins.class_scores)


def _compare(audit: AuditRun) -> None:
    """Compare the classes by patch and, where the budget allows, by perturbation."""
    if not audit.has_margins:
        return
    kinds: tuple[Compared, ...] = ("patch", "perturbation") if audit.effort.perturbation_steps else ("patch",)
    classes = choose_classes(audit.classes_by_margin(), audit.effort.scanned_classes)
    span = audit.portion("comparison")
    for place, kind in enumerate(kinds):
        try:
            compared = compare_classes(
                audit.searched,
                audit.images,
                kind,
                classes=classes,
                num_classes=audit.teacher.spec.num_classes,
                effort=audit.effort,
                generator=audit.generator(f"compare {kind}"),
                monitor=Portion(span, place / len(kinds), (place + 1) / len(kinds)),
            )
        except TrainingFailed as problem:
            audit.failures.append(could_not_run(PROBE_NAMES[kind], problem))
        else:
            audit.probes.append(compared)


#: Probes whose scores are compared with those of clean networks, in the order in which they run.
SCORED: tuple[Callable[[AuditRun], None], ...] = (_probe_margins, _compare)


def _probe_further(audit: AuditRun) -> None:
    audit.probes += further_probes(audit, audit.portion("further"))


def _invert(audit: AuditRun) -> None:
    """Recover triggers of every kind for the classes that probes suspect; if none, for the first by margin.

    A given trigger chooses no class: nothing that a defender may not know may tune a threshold.
    """
    if not audit.has_margins:
        return
    classes = suspected_classes(audit.probes) or (audit.classes_by_margin()[0],)
    kinds: tuple[Kind, ...] = ("patch", "perturbation", "blend")
    searches = [(label, kind) for label in classes for kind in kinds]
    span = audit.portion("inversion")
    for place, (label, kind) in enumerate(searches):
        try:
            trigger = invert_trigger(
                audit.searched,
                audit.images,
                kind,
                label,
                effort=audit.effort,
                generator=audit.generator(f"invert {kind} {label}"),
                monitor=Portion(span, place / len(searches), (place + 1) / len(searches)),
            )
        except TrainingFailed as problem:
            audit.failures.append(f"No {kind} could be recovered for class {label}: {problem.detail}")
            continue
        if trigger is None:
            continue
        try:
            report = measure_trigger(audit.classifier, trigger, "recovered", audit.images)
        except RecipeError as problem:
            audit.failures.append(f"No recovered trigger could be measured: {problem.detail}")
            return
        audit.recovered.append(trigger)
        audit.reports.append(report)


def _follow(audit: AuditRun) -> None:
    follow(audit, audit.portion("transfer"))


def _learn_from(audit: AuditRun) -> None:
    """Ask whether the teacher is nasty: a flag of its own, which no other finding moves."""
    if audit.recipe.probe.nasty:
        audit.undistillable = ask_undistillable(
            audit.teacher,
            audit.data,
            audit.images,
            audit.recipe.probe.budget,
            seed=derive_seed(audit.recipe.seed, "nasty"),
            monitor=audit.portion("nasty"),
        )
