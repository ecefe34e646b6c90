"""Does a trigger move to a student that never saw it? Distill throw-away students and look.

One student per channel learns without any defense, while every trigger's success on it is followed:
together they are the transfer matrix, channels by triggers. A trigger shows early: a public watermark reached
a success of .94 and more within the first 24,000 patches of the builtin photographs, long before the student
is accurate (docs/results.md). The hazard is judged in
``models.probes.transfer_hazard``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from models.architectures import PixelClassifier, StagedClassifier, build
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.monitor import Monitor
from models.engine.seed import derive_seed, make_generator, seeded
from models.errors import Interrupted, RecipeError, TrainingFailed
from models.metrics import agreement, attack_success, clean_target_rate, predict
from models.probes.portion import Portion
from models.probes.probe_images import ProbeImages
from models.probes.student_watch import StudentWatch, Watched
from models.probes.transfer_channels import Lesson, School, plan_lesson
from models.probes.transfer_control import matched_control
from models.probes.transfer_hazard import Learned, Successes, judge_hazard, transfer_index
from models.probes.verdict import overall_hazard
from models.recipes.architecture import ArchitectureSpec
from models.recipes.default_student import smaller
from models.recipes.job import Recipe
from models.recipes.probe import Channel
from models.results.audit import ChannelResult, Rate, TransferResult
from models.triggers import Trigger

#: While the student learns, success is followed on this many images: the curve needs no more.
WATCHED_IMAGES = 300

#: Share of the probe's time that the controls take.
CONTROLS_SHARE = 0.15


@dataclass(frozen=True)
class Suspicion:
    """A trigger to follow, and another class to make its control for."""

    trigger: Trigger
    control_label: int


@dataclass(frozen=True)
class Matrix:
    """What was measured, and over what."""

    cells: tuple[TransferResult, ...]
    """Channel by channel, in each of them the triggers in their order."""
    channels: tuple[ChannelResult, ...]
    """All that were asked for."""


@dataclass(frozen=True, eq=False)
class _Followed:
    """A trigger, its control, and what it does to the teacher."""

    trigger: Trigger
    control: Trigger
    teacher_success: Rate


def transfer_probe(
    teacher: Teacher,
    suspicions: Sequence[Suspicion],
    images: ProbeImages,
    data: AuditData,
    recipe: Recipe,
    *,
    most_images: int,
    monitor: Monitor,
) -> Matrix:
    """Distill one throw-away student per channel of the recipe and measure every trigger on it.

    A channel that does not fit teacher or data, or whose training breaks, is reported and leaves the others
    as they are. All students start from the same weights.

    Args:
        teacher: The suspect.
        suspicions: At least one.
        images: What to measure on (``held_out``) and to search the controls on (``search``).
        data: Its photographs are cut into training patches, its clean images are vanilla's.
        recipe: Seed, student's architecture, and settings of the channels.
        most_images: Images a student sees, unless the answer is clear earlier.
        monitor: Told of every step.

    Raises:
        Interrupted: The monitor asked to stop.
        RecipeError: Every held-out image is of a target class (code ``nothing_to_measure``), or there is no
            smaller network for a student.
    """
    classifier = teacher.pixel_classifier().eval()
    search = Portion(monitor, 0, CONTROLS_SHARE)
    generator = make_generator(recipe.seed, "transfer control", teacher.device)
    followed = [
        _prepare(
            classifier,
            suspicion,
            images,
            generator=generator,
            monitor=Portion(search, place / len(suspicions), (place + 1) / len(suspicions)),
        )
        for place, suspicion in enumerate(suspicions)
    ]
    school = School(teacher, data, images, recipe, most_images)
    names = tuple(dict.fromkeys(recipe.probe.channels))
    learning = Portion(monitor, CONTROLS_SHARE, 1)
    cells: list[TransferResult] = []
    channels: list[ChannelResult] = []
    for place, channel in enumerate(names):
        span = Portion(learning, place / len(names), (place + 1) / len(names))
        found, told = _follow_through(channel, classifier, followed, school, span)
        cells += found
        channels.append(told)
    return Matrix(tuple(cells), tuple(channels))


def _prepare(
    teacher: PixelClassifier,
    suspicion: Suspicion,
    images: ProbeImages,
    *,
    generator: torch.Generator,
    monitor: Monitor,
) -> _Followed:
    trigger, label = suspicion.trigger, suspicion.control_label
    return _Followed(
        trigger,
        matched_control(teacher, trigger, images, label, generator=generator, monitor=monitor),
        attack_success(teacher, images.held_out, images.labels, trigger, teacher=teacher),
    )


def _follow_through(
    channel: Channel,
    classifier: PixelClassifier,
    followed: Sequence[_Followed],
    school: School,
    monitor: Monitor,
) -> tuple[tuple[TransferResult, ...], ChannelResult]:
    """Make one student, and measure every trigger on it."""
    started = time.monotonic()
    images = school.images
    watched = [_watched(classifier, entry.trigger, images) for entry in followed]
    try:
        student = PixelClassifier(_new_student(school.teacher, school.recipe), school.teacher.normalization)
        seen = _learn(student, watched, plan_lesson(channel, school), monitor)
    except (RecipeError, TrainingFailed) as problem:
        failed = isinstance(problem, TrainingFailed)
        seconds = time.monotonic() - started
        return (), ChannelResult(channel, "not_tested", seconds, problem.detail, failed)
    learned = _learned(classifier, student, images)
    cells = tuple(
        _conclude(channel, _successes(classifier, student, entry, images), curve, learned, seen)
        for entry, curve in zip(followed, watched, strict=True)
    )
    return cells, ChannelResult(channel, overall_hazard(cells), time.monotonic() - started)


def _conclude(
    channel: Channel, successes: Successes, watched: Watched, learned: Learned, images_seen: int
) -> TransferResult:
    return TransferResult(
        channel=channel,
        trigger=watched.trigger.name,
        target_label=watched.trigger.target_label,
        teacher_success=successes.teacher,
        student_success=successes.student,
        control_success=successes.control,
        index=transfer_index(successes),
        hazard=judge_hazard(successes, learned),
        student_agreement=learned.agreement,
        images_seen=images_seen,
        curve=tuple(watched.curve),
        student_clean_rate=successes.student_clean,
    )


def _learn(student: PixelClassifier, watched: Sequence[Watched], lesson: Lesson, monitor: Monitor) -> int:
    """Train the student until the answer is clear or the images are used up; return how many it saw."""
    watch = StudentWatch(monitor, student, watched, lesson.images, lesson.learned)
    try:
        lesson.teach(student.network, watch)
    except Interrupted:
        if not watch.answer_is_clear:
            raise
    student.eval()
    return watch.images_seen


def _new_student(teacher: Teacher, recipe: Recipe) -> StagedClassifier:
    name = recipe.student.architecture or smaller(teacher.spec)
    with seeded(derive_seed(recipe.seed, "transfer student")):
        return build(ArchitectureSpec(name, teacher.spec.num_classes, teacher.spec.input_size)).to(
            teacher.device
        )


def _watched(teacher: PixelClassifier, trigger: Trigger, images: ProbeImages) -> Watched:
    classes = predict(teacher, images.held_out) if images.labels is None else images.labels
    victims = images.held_out[classes != trigger.target_label][:WATCHED_IMAGES]
    return Watched(trigger, victims)


def _learned(teacher: PixelClassifier, student: PixelClassifier, images: ProbeImages) -> Learned:
    counts = predict(teacher, images.held_out).bincount()
    agreed = agreement(student, teacher, images.held_out).value
    return Learned(agreed, int(counts.max()) / len(images.held_out))


def _successes(
    teacher: PixelClassifier, student: PixelClassifier, followed: _Followed, images: ProbeImages
) -> Successes:
    pictures, labels, target = images.held_out, images.labels, followed.trigger.target_label
    return Successes(
        teacher=followed.teacher_success,
        student=attack_success(student, pictures, labels, followed.trigger, teacher=teacher),
        student_clean=clean_target_rate(student, pictures, labels, target, teacher=teacher),
        control=attack_success(student, pictures, labels, followed.control, teacher=teacher),
    )
