"""All that is asked about learning from the teacher: which parts run, and on which images."""

from __future__ import annotations

import time
from dataclasses import replace

import torch
from torch import Tensor

from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.data.labelled import LabelledImages
from models.engine.monitor import Monitor
from models.engine.seed import make_generator
from models.errors import RecipeError, TrainingFailed
from models.probes.portion import Portion
from models.probes.probe_images import ProbeImages
from models.probes.undistillable.head_refit import head_refit
from models.probes.undistillable.judgment import NastyFindings, judge
from models.probes.undistillable.output_statistics import (
    feature_consistency,
    paper_temperature,
    peak_statistics,
)
from models.probes.undistillable.outputs import teacher_outputs
from models.probes.undistillable.paired_students import STUDENT_EFFORTS, named_by, paired_students
from models.recipes.probe import Budget
from models.results.undistillable import LabelsOf, UndistillableResult

#: N1's temperatures (algorithms.md 6.4).
PEAK_TEMPERATURES = (4.0, 20.0)

#: With fewer, a point of accuracy is less than an image of a pair.
FEWEST_IMAGES = 200
#: More only make measuring longer.
MOST_IMAGES = 5_000
#: Students of larger inputs would take hours on two cores.
LARGEST_INPUT = 64

#: Share of the time that N1 to N3 take.
_OUTPUTS_END = 0.1


def ask_undistillable(
    teacher: Teacher, data: AuditData, images: ProbeImages, budget: Budget, *, seed: int, monitor: Monitor
) -> UndistillableResult:
    """Ask N1 to N3, and N4 and N5 where images and budget allow.

    A part that cannot run is reported and ends nothing.

    Args:
        teacher: The suspect, frozen by the caller.
        data: Its clean images are the students'. Without labels of the network's classes, those that it names
            stand in.
        images: Of N1 to N3.
        budget: ``thorough`` alone trains students.
        seed: Of the students and of the choice of their images.
        monitor: Asked at every step.

    Raises:
        Interrupted: The monitor asked to stop.
    """
    started = time.monotonic()
    found = NastyFindings(teacher.spec.num_classes, images.source, len(images.search) + len(images.held_out))
    try:
        found = _with_outputs(found, teacher, images, Portion(monitor, 0, _OUTPUTS_END))
        # A teacher whose answers are not finite would only make students that are not either.
        found = _with_students(
            found, teacher, data, budget, seed=seed, monitor=Portion(monitor, _OUTPUTS_END, 1)
        )
    except (RecipeError, TrainingFailed) as problem:
        found = replace(found, failures=(*found.failures, problem.detail))
    return judge(found, seconds=time.monotonic() - started)


def _with_outputs(
    found: NastyFindings, teacher: Teacher, images: ProbeImages, monitor: Monitor
) -> NastyFindings:
    """Add N1 to N3: the head is fitted to the images that searches use, and compared on the others."""
    classifier = teacher.pixel_classifier().eval()
    outputs = teacher_outputs(
        classifier, torch.cat([images.search, images.held_out]), Portion(monitor, 0, 0.5)
    )
    half, temperature = len(images.search), paper_temperature(teacher.spec.num_classes)
    consistency = feature_consistency(outputs, temperature)
    refit = head_refit(
        outputs.part(slice(half)), outputs.part(slice(half, None)), temperature, Portion(monitor, 0.5, 1)
    )
    failures = [
        f"{name} has no number: the network names too few classes on these {found.image_source}."
        for name, number in (("Feature consistency", consistency), ("Head refit", refit))
        if number is None
    ]
    return replace(
        found,
        peaks=tuple(peak_statistics(outputs.logits, temperature) for temperature in PEAK_TEMPERATURES),
        consistency=consistency,
        refit=refit,
        failures=(*found.failures, *failures),
    )


def _with_students(
    found: NastyFindings,
    teacher: Teacher,
    data: AuditData,
    budget: Budget,
    *,
    seed: int,
    monitor: Monitor,
) -> NastyFindings:
    """Add N4 and N5, or why they did not run."""
    obstacle = _obstacle(teacher, data, budget)
    if obstacle or data.images is None:
        return _untrained(found, obstacle, _missing(teacher, data, budget))
    order = torch.randperm(len(data.images), generator=make_generator(seed, "images of paired students"))
    chosen = order[:MOST_IMAGES]
    labelled, labels_of = _labelled(teacher, data.images[chosen], data.labels, chosen)
    if len(set(labelled.labels.tolist())) < 2:
        return _untrained(found, "all images are of one class, so there is nothing to learn")
    if int((labelled.labels.bincount() > 1).sum()) < 2:
        return _untrained(found, "at most one class has two images, so none would be left to measure on")
    effort = STUDENT_EFFORTS[budget]
    try:
        students = paired_students(teacher, labelled, effort, labels_of=labels_of, seed=seed, monitor=monitor)
    except TrainingFailed as problem:
        reason = f"The students broke off (N4, N5): {problem.detail}"
        return replace(found, failures=(*found.failures, reason), broken=problem.detail)
    more = ("give more clean images",) if len(data.images) < MOST_IMAGES else ()
    commonest = int(labelled.labels.bincount().max()) / len(labelled.labels)
    return replace(found, students=students, commonest=commonest, missing=more)


def _untrained(found: NastyFindings, why: str, missing: tuple[str, ...] = ()) -> NastyFindings:
    reason = f"No student was trained (N4, N5): {why}."
    return replace(found, failures=(*found.failures, reason), missing=missing)


def _labelled(
    teacher: Teacher, images: Tensor, labels: Tensor | None, chosen: Tensor
) -> tuple[LabelledImages, LabelsOf]:
    """Give the images their labels, or what the network names if those are none of its classes."""
    if labels is None or int(labels.max()) >= teacher.spec.num_classes:
        return named_by(teacher, images), "network"
    return LabelledImages(images, labels[chosen]), "data"


def _obstacle(teacher: Teacher, data: AuditData, budget: Budget) -> str:
    """Say why no students can learn, as the end of a sentence; empty if they can."""
    if data.images is None:
        return "that takes clean images"
    if budget not in STUDENT_EFFORTS:
        return f"budget {budget} has no time for it"
    if len(data.images) < FEWEST_IMAGES:
        return f"{len(data.images)} clean images were given, {FEWEST_IMAGES} are needed"
    if teacher.spec.input_size > LARGEST_INPUT:
        return f"inputs of more than {LARGEST_INPUT} pixels take too long"
    return ""


def _missing(teacher: Teacher, data: AuditData, budget: Budget) -> tuple[str, ...]:
    """Say what would let students learn; nothing where nothing would."""
    if teacher.spec.input_size > LARGEST_INPUT:
        return ()
    lacking = []
    if data.images is None or len(data.images) < FEWEST_IMAGES:
        lacking.append(f"give at least {FEWEST_IMAGES} clean images")
    if budget not in STUDENT_EFFORTS:
        lacking.append("take budget thorough")
    return tuple(lacking)
