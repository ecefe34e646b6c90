"""Scan the students as the audit scanned the teacher: what stands out in them and not in it was dormant.

A backdoor can be made so that the teacher does not show it and a student distilled from it does (SCAR,
NeurIPS 2025). No probe of the teacher sees that. So the two probes that need no trigger, maximum margins and
the comparison of classes by patch, run on every finished student too, from the same starts and on the same
images as on the teacher: what differs is the network.

A class is called dormant if it passes a probe's mark in the student, stands out in the teacher by neither
probe (nor by anything that the audit found), and stands out more in the student than in the teacher by at
least half the mark: a score that crosses the mark by a hair is no difference. The marks are the audit's,
made for finished teachers. No false-positive rate is known for students, which may be odd because they
learned briefly or from patches alone: the demo's defended student passes the margins' mark for the class
that clean networks of digits are drawn to by nature. So one probe alone is only reported, both at the same
class are a warning, and neither decides about the teacher or about acceptance.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import nn

from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.frozen import frozen
from models.engine.monitor import Monitor
from models.engine.seed import make_generator
from models.errors import RecipeError, TrainingFailed
from models.probes.doubts import crowding
from models.probes.effort import EFFORTS
from models.probes.findings import listed, suspected_classes
from models.probes.logit_scale import at_ordinary_scale
from models.probes.mmbd import CONSPICUOUS_RATIO, LEAST_MARGIN, margin_statistics
from models.probes.portion import Portion
from models.probes.probe_images import images_for, inverts
from models.probes.surrogates import as_audited
from models.probes.trigger_inversion import CONSPICUOUS, choose_classes, compare_classes
from models.recipes.job import Recipe
from models.recipes.probe import Budget
from models.recipes.probe_catalog import find_probe
from models.results.audit import AuditResult
from models.results.rescan import ClassScan, DormantClass, StudentRescan
from models.verification import Candidate

MARGINS, PATCHES = "mmbd", "trigger_inversion"
_MARKS = {MARGINS: math.log(CONSPICUOUS_RATIO), PATCHES: math.log(CONSPICUOUS["patch"])}

#: Least rise from teacher to student, as a share of the mark.
LEAST_RISE = 0.5

#: How much of the scans' time inverting images takes.
_INVERSION = 0.3
#: Log of how far each compared class stands out from the best of the others; at most one is positive.
Statistics = Mapping[int, float]


def rescan_budget(recipe: Recipe) -> Budget:
    """Return the effort of the scans: quick, unless the audit is thorough."""
    return "thorough" if recipe.probe.budget == "thorough" else "quick"


def rescan_students(
    teacher: Teacher,
    candidates: Sequence[Candidate],
    data: AuditData,
    recipe: Recipe,
    monitor: Monitor,
    *,
    audit: AuditResult | None = None,
) -> StudentRescan:
    """Scan teacher and students alike and compare.

    Args:
        teacher: Says device, input size and classes.
        candidates: As of ``verify``: the teacher first, the student to be accepted last; on one device.
        data: As of the audit.
        recipe: Seed, budget and style of patches.
        monitor: Told of every step.
        audit: Of the same teacher, data and recipe; says what ``auto`` surrogates are. Its scores are taken
            where its effort was that of the scans; otherwise the teacher is scanned again.

    Raises:
        RecipeError: The first candidate is not a teacher, or there is no student.
        Interrupted: The monitor asked to stop.
        DataRejected: A photograph is too small to cut patches from.
    """
    if len(candidates) < 2 or candidates[0].role != "teacher":
        raise RecipeError("A re-scan compares a teacher with at least one student.")
    started = time.monotonic()
    recipe = as_audited(recipe, audit)
    prepared = _INVERSION if inverts(data, recipe) else 0
    scanning = _Scanning(teacher, data, recipe, candidates, audit, Portion(monitor, 0, prepared))
    middle = (1 + prepared) / 2
    margins = scanning.all_margins(Portion(monitor, prepared, middle))
    classes = choose_classes(_merged(margins), scanning.effort.scanned_classes)
    patches = scanning.all_patches(classes, margins, Portion(monitor, middle, 1))
    monitor.progress(1, 1)
    scans = [
        scan
        for place, candidate in enumerate(candidates)
        for probe, found in ((MARGINS, margins), (PATCHES, patches))
        if place in found and 0 in found
        for scan in [_scan(candidate, probe, found[place], found[0])]
    ]
    dormant = dormant_classes(scans, _known_classes(scans, audit))
    accepted = candidates[-1].role
    return StudentRescan(
        budget=rescan_budget(recipe),
        image_source=scanning.images.source,
        classes=len(classes),
        scans=tuple(scans),
        dormant=dormant,
        sentence=_sentence(dormant, scans, tuple(scanning.failures)),
        warnings=tuple(
            _warning(found) for found in dormant if found.role == accepted and len(found.probes) > 1
        ),
        failures=tuple(scanning.failures),
        seconds=time.monotonic() - started,
    )


@dataclass(eq=False)
class _Scanning:
    """What all scans have in common."""

    teacher: Teacher
    data: AuditData
    recipe: Recipe
    candidates: Sequence[Candidate]
    audit: AuditResult | None
    inversion: Monitor

    def __post_init__(self) -> None:
        self.effort = EFFORTS[rescan_budget(self.recipe)]
        self.failures: list[str] = []
        self.largest: dict[int, tuple[float, ...]] = {}  # margins of all classes, by place
        spec, patches = self.teacher.spec, self.effort.surrogate_images
        with frozen(self.candidates[0].classifier) as asked:
            self.images = images_for(
                asked, spec, self.data, self.recipe, patches=patches, monitor=self.inversion
            )

    def all_margins(self, monitor: Monitor) -> dict[int, Statistics]:
        """Return the margins' statistics by place among the candidates; one that failed is left out."""
        found: dict[int, Statistics] = {}
        for place, candidate in enumerate(self.candidates):
            part = Portion(monitor, place / len(self.candidates), (place + 1) / len(self.candidates))
            scores = self._audited(MARGINS) if place == 0 else None
            try:
                scores = scores or self._margins(candidate.classifier, part)
            except TrainingFailed as problem:
                self.failures.append(f"The {_name(candidate)} could not be scanned: {problem.detail}")
                continue
            # The one class of a collapsed student stands out by any factor.
            if place and (crowded := crowding(candidate.classifier, self.images, scores)):
                self.failures.append(f"The {_name(candidate)} tells nothing. {crowded}")
                continue
            self.largest[place] = scores
            floor = max(max(scores) / 1000, LEAST_MARGIN)  # of what is not positive, as in `score_margins`
            found[place] = _stand_out(range(len(scores)), [math.log(max(r, floor)) for r in scores])
        return found

    def all_patches(
        self, classes: Sequence[int], places: Mapping[int, object], monitor: Monitor
    ) -> dict[int, Statistics]:
        """Return the same by patch, of the networks that have margins."""
        found: dict[int, Statistics] = {}
        for place in places:
            part = Portion(monitor, place / len(self.candidates), (place + 1) / len(self.candidates))
            complete = len(classes) == self.teacher.spec.num_classes
            scores = self._audited(PATCHES) if place == 0 and complete else None
            try:
                scores = scores or self._patches(place, classes, part)
                found[place] = _stand_out(classes, [-math.log(max(size, 1e-9)) for size in scores])
            except TrainingFailed as problem:
                self.failures.append(f"The {_name(self.candidates[place])} broke a search: {problem.detail}")
        return found

    def _audited(self, probe: str) -> tuple[float, ...] | None:
        """Return the audit's scores of all classes, if it made the same effort."""
        if self.audit is None or self.recipe.probe.budget != rescan_budget(self.recipe):
            return None
        return next((found.class_scores for found in self.audit.probes if found.probe == probe), None)

    def _generator(self, stream: str) -> torch.Generator:
        """Make the audit's own source of randomness, anew for each network: all start alike."""
        return make_generator(self.recipe.seed, stream, self.teacher.device)

    def _margins(self, classifier: nn.Module, monitor: Monitor) -> tuple[float, ...]:
        with frozen(classifier):
            return margin_statistics(
                classifier,
                self.teacher.spec.num_classes,
                self.teacher.spec.input_size,
                restarts=self.effort.margin_restarts,
                steps=self.effort.margin_steps,
                generator=self._generator("margins"),
                monitor=monitor,
            ).class_scores

    def _patches(self, place: int, classes: Sequence[int], monitor: Monitor) -> tuple[float, ...]:
        with frozen(self.candidates[place].classifier) as classifier:
            return compare_classes(
                at_ordinary_scale(classifier, self.largest[place]),  # as the audit does
                self.images,
                "patch",
                classes=classes,
                num_classes=len(classes),  # a score of every compared class is wanted
                effort=self.effort,
                generator=self._generator("compare patch"),
                monitor=monitor,
            ).class_scores


def _stand_out(classes: Sequence[int], logs: Sequence[float]) -> dict[int, float]:
    """Return by how much each class exceeds the best of the others; ``logs`` (C,), larger stands out."""
    first, second = sorted(logs, reverse=True)[:2]
    return {c: value - (second if value == first else first) for c, value in zip(classes, logs, strict=True)}


def _merged(margins: Mapping[int, Statistics]) -> list[int]:
    """Rank the classes by turns, as each network does: all must be asked about the same ones."""
    rankings = [sorted(found, key=lambda label: -found[label]) for found in margins.values()]
    return list(dict.fromkeys(chain.from_iterable(zip(*rankings, strict=True))))


def _scan(candidate: Candidate, probe: str, found: Statistics, teacher: Statistics) -> ClassScan:
    label = max(found, key=lambda entry: found[entry])
    return ClassScan(
        candidate.role, probe, label, found[label], found[label] >= _MARKS[probe], teacher[label]
    )


def _known_classes(scans: Sequence[ClassScan], audit: AuditResult | None) -> set[int]:
    """Return the classes that something points at in the teacher itself."""
    known = {scan.target_label for scan in scans if scan.role == "teacher" and scan.conspicuous}
    if audit is not None:
        known |= set(suspected_classes(audit.probes))
        if audit.target_label is not None:
            known.add(audit.target_label)
    return known


def dormant_classes(scans: Sequence[ClassScan], known: set[int]) -> tuple[DormantClass, ...]:
    """Choose what is conspicuous in a student and neither known of the teacher nor as strong there.

    Args:
        scans: Of all networks.
        known: Classes that something points at in the teacher.
    """
    probes: dict[tuple[str, int], list[str]] = {}
    for scan in scans:
        rise = scan.statistic - scan.teacher_statistic
        if scan.conspicuous and scan.target_label not in known and rise >= LEAST_RISE * _MARKS[scan.probe]:
            probes.setdefault((scan.role, scan.target_label), []).append(scan.probe)
    return tuple(
        DormantClass("defended" if role == "defended" else "undefended", label, tuple(names))
        for (role, label), names in probes.items()
        if role != "teacher"
    )


def _name(candidate: Candidate) -> str:
    return "teacher" if candidate.role == "teacher" else f"{candidate.role} student"


def _titles(found: DormantClass) -> str:
    return listed([find_probe(name).title.lower() for name in found.probes])


def _sentence(dormant: Sequence[DormantClass], scans: Sequence[ClassScan], failures: tuple[str, ...]) -> str:
    missing = "".join(f" {line}" for line in failures)
    if dormant:
        found = [f"class {d.target_label} in the {d.role} student (by {_titles(d)})" for d in dormant]
        alone = all(len(d.probes) == 1 for d in dormant)
        doubt = " One probe alone points at it, as happens with harmless students." if alone else ""
        return f"What stands out in a student and not in the teacher: {listed(found)}.{doubt}{missing}"
    if not any(scan.role != "teacher" for scan in scans):
        return f"The students could not be compared with the teacher.{missing}"
    return (
        "No class stands out in a student that does not stand out in the teacher. That does not show that "
        f"nothing was dormant: the marks are rough, and the probes have their blind spots.{missing}"
    )


def _warning(found: DormantClass) -> str:
    return (
        f"Class {found.target_label} stands out in the {found.role} student (by {_titles(found)}) and not in "
        "the teacher. A backdoor that was made to sleep in the teacher and to wake in a student looks like "
        "this, and so may a student that learned briefly or from few images. How often harmless students "
        "look so is not known: this changes neither the acceptance nor the verdict on the teacher."
    )
