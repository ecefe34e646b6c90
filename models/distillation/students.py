"""Which students a job trains, and training one of them; ``methods`` runs each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from models.architectures import StagedClassifier, build
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.data.photographs import builtin_photographs
from models.distillation.abd.self_retrospection import SelfRetrospection
from models.distillation.clipping.bounds import clipping_obstacle, require_clippable
from models.distillation.clipping.choice import clip_teacher
from models.distillation.feature_task import check_stages
from models.distillation.fitting import empty, require_fit
from models.distillation.inversion.fast_obstacle import fast_obstacle
from models.distillation.labelled_batches import check_classes
from models.distillation.methods import METHODS, Run, split_images
from models.distillation.robustkd.mask_training import judging_obstacle, require_judges
from models.engine.determinism import deterministic
from models.engine.monitor import Monitor, ResumeState
from models.engine.precision import to_channels_last
from models.engine.seed import derive_seed, make_generator, seeded
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import validate_student_name
from models.recipes.default_student import smaller
from models.recipes.job import Recipe
from models.recipes.plan import DATA_FREE, AppliedDefense, ChosenMethod, Plan, plan
from models.results.training import Decision, StudentResult
from models.triggers import Trigger

_NOT_LEARNED_FROM = "From the photographs that were given the student does not learn; by method ood it does."


@dataclass(frozen=True)
class StudentOrder:
    """One student to train."""

    role: Literal["undefended", "defended"]
    method: ChosenMethod | Literal["feature"]
    defense: AppliedDefense
    architecture: ArchitectureSpec


@dataclass(frozen=True, eq=False)
class TrainedStudent:
    """A student with its record."""

    network: StagedClassifier
    result: StudentResult


def plan_students(teacher: Teacher, data: AuditData, recipe: Recipe) -> tuple[Plan, tuple[StudentOrder, ...]]:
    """Decide which students a job trains: the undefended control first, the one to be accepted last.

    Args:
        teacher: Its structure and its BatchNorms' statistics say what ``auto`` means.
        data: What the user gave.
        recipe: The job's.

    Raises:
        RecipeError: If method, defense, data and teacher do not fit together (``labels_mismatch``,
            ``too_few_images``, ``clipping_impossible``, ``retrospection_impossible``, or what ``require_fit``
            raises), or the student's name is unknown.
    """
    spec = teacher.spec
    name = recipe.student.architecture or smaller(spec)
    validate_student_name(name)
    student = ArchitectureSpec(name, spec.num_classes, spec.input_size)
    chosen = plan(
        recipe,
        labelled=data.labels is not None,
        unlabelled=data.images is not None,
        obstacle=_obstacle(spec, student, data, recipe) if recipe.method == "auto" else "",
        uninvertible=fast_obstacle(teacher) if recipe.method == "auto" else "",
        unclippable=clipping_obstacle(teacher.network) if recipe.defense == "auto" else "",
    )
    _check(chosen, teacher, student, data, recipe)
    if data.photographs and recipe.method == "auto" and chosen.method == "fast":
        chosen = replace(chosen, reason=f"{chosen.reason} {_NOT_LEARNED_FROM}")
    orders = []
    if chosen.control is not None:
        orders.append(StudentOrder("undefended", chosen.control, "none", student))
    role: Literal["undefended", "defended"] = "undefended" if chosen.defense == "none" else "defended"
    orders.append(StudentOrder(role, chosen.method, chosen.defense, student))
    return chosen, tuple(orders)


def _check(
    chosen: Plan, teacher: Teacher, student: ArchitectureSpec, data: AuditData, recipe: Recipe
) -> None:
    """Refuse before anything is trained what the last student could not be made of."""
    require_fit(chosen.method, teacher, student)
    retrospection = recipe.abd.retrospection
    implicit = retrospection.run != "never" and retrospection.gradient == "implicit"
    if chosen.defense in {"abd", "abd_clip"} and implicit:
        _try_retrospection(teacher, student, recipe)
    if chosen.defense in {"clip", "abd_clip"}:
        require_clippable(teacher.network)
    if data.labels is not None and chosen.method not in DATA_FREE:
        check_classes(data.labels, teacher.spec.num_classes)
        if chosen.method == "robustkd":
            require_judges(_learned_labels(data.labels, data, recipe))


def _learned_labels(labels: Tensor, data: AuditData, recipe: Recipe) -> Tensor:
    """Return the labels of the images that a method is given: others measure the students."""
    return labels[split_images(data, recipe)[0]] if len(labels) else labels


def _try_retrospection(teacher: Teacher, student: ArchitectureSpec, recipe: Recipe) -> None:
    """Differentiate a fresh student twice; the defense tries its own again, on images, behind the control."""
    trial = _initialized(student, recipe.seed).to(teacher.device)
    side, generator = student.input_size, make_generator(recipe.seed, "trial images")
    x = torch.randn(4, 3, side, side, generator=generator).to(teacher.device)
    SelfRetrospection(teacher.network, trial, recipe.abd.retrospection, seed=recipe.seed).check(x)


def _obstacle(teacher: ArchitectureSpec, student: ArchitectureSpec, data: AuditData, recipe: Recipe) -> str:
    """Say why RobustKD cannot use the labelled images, or nothing; no weights are made."""
    if data.labels is None:
        return ""
    unjudged = judging_obstacle(_learned_labels(data.labels, data, recipe))
    if unjudged:
        return unjudged
    networks = empty(teacher), empty(student)
    try:
        check_stages(*networks, teacher.input_size)
    except RecipeError as error:
        return error.detail
    return ""


def train_student(
    teacher: Teacher,
    data: AuditData,
    recipe: Recipe,
    order: StudentOrder,
    monitor: Monitor,
    *,
    recovered: Sequence[Trigger] = (),
    resume: ResumeState | None = None,
) -> TrainedStudent:
    """Train one student.

    Args:
        teacher: Whom to learn from.
        data: Clean images for the methods that use them; photographs for ``ood``
            and for the bounds of a clipped teacher.
        recipe: The job's.
        order: Which student; from ``plan_students``. Control and defended student start from equal weights.
        monitor: Told of every step.
        recovered: Triggers the audit found; RobustKD chooses its threshold against them.
        resume: What the same call handed to ``monitor.checkpoint`` before it was interrupted.

    Raises:
        Interrupted: If the monitor asks to stop.
        TrainingFailed: If a loss is not finite.
        RecipeError: If the recipe does not fit the networks or the data.
    """
    student = _initialized(order.architecture, recipe.seed).to(teacher.device)
    abd = recipe.abd if order.defense in {"abd", "abd_clip"} else None
    with deterministic(recipe.deterministic):
        source, decisions = _source(teacher, data, recipe, order)
        run = Run(source, student, data, recipe, abd, monitor, tuple(recovered), resume)
        distilled = METHODS[order.method](run)
    result = StudentResult(
        role=order.role,
        method=order.method,
        defense=order.defense,
        architecture=order.architecture,
        steps=distilled.steps,
        images_seen=distilled.images_seen,
        seconds=distilled.seconds,
        seed=recipe.seed,
        final=distilled.final,
        curve=distilled.curve,
        decisions=(*decisions, *distilled.decisions),
    )
    return TrainedStudent(distilled.network, result)


def _source(
    teacher: Teacher, data: AuditData, recipe: Recipe, order: StudentOrder
) -> tuple[Teacher, tuple[Decision, ...]]:
    """Return whom the student learns from: the teacher, or its clipped copy and how that was made.

    Every method that takes a clipped teacher lays its own out channels-last, and leaves it so. In another
    layout convolutions round differently: a job that went on behind its control, which it found finished,
    took other bounds than one that had trained it.
    """
    if order.defense not in {"clip", "abd_clip"}:
        return teacher, ()
    to_channels_last(teacher.network)
    photographs = data.photographs or builtin_photographs()
    source, decision = clip_teacher(
        teacher, photographs, recipe.clip, style=recipe.ood.patch_style, seed=recipe.seed
    )
    return source, (decision,)


def trains_on_images(method: str) -> bool:
    """Whether a method sees the user's clean images."""
    return method not in DATA_FREE


def _initialized(spec: ArchitectureSpec, seed: int) -> StagedClassifier:
    """Build a network whose first weights depend on ``seed`` alone."""
    with seeded(derive_seed(seed, "student")):
        return build(spec)
