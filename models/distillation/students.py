"""Which students a job trains, and training one of them: the single place that knows all methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from models.architectures import StagedClassifier, build
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.data.split import split_for_measuring
from models.distillation.distilled import Distilled
from models.distillation.feature import distill_feature
from models.distillation.feature_task import check_stages
from models.distillation.out_of_distribution import distill_ood
from models.distillation.robustkd.distiller import distill_robustkd
from models.distillation.vanilla import distill_vanilla
from models.distillation.zero_shot import distill_zskt
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import derive_seed
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import validate_student_name
from models.recipes.default_student import smaller
from models.recipes.job import Recipe
from models.recipes.plan import DATA_FREE, Plan, plan
from models.results.training import StudentResult
from models.triggers import Trigger


@dataclass(frozen=True)
class StudentOrder:
    """One student to train."""

    role: Literal["undefended", "defended"]
    method: Literal["vanilla", "feature", "ood", "zskt", "robustkd"]
    defense: Literal["none", "abd", "robustkd"]
    architecture: ArchitectureSpec


@dataclass(frozen=True, eq=False)
class TrainedStudent:
    """A student with its record."""

    network: StagedClassifier
    result: StudentResult


@dataclass(frozen=True, eq=False)
class _Run:
    """What every method needs."""

    teacher: Teacher
    student: StagedClassifier
    data: AuditData
    recipe: Recipe
    order: StudentOrder
    monitor: Monitor
    recovered: tuple[Trigger, ...]
    resume: ResumeState | None


def plan_students(
    spec: ArchitectureSpec, data: AuditData, recipe: Recipe
) -> tuple[Plan, tuple[StudentOrder, ...]]:
    """Decide which students a job trains: the undefended control first, the one to be accepted last.

    Args:
        spec: The teacher's.
        data: What the user gave.
        recipe: The job's.

    Raises:
        RecipeError: If method, defense and data do not fit together, or the student's name is unknown.
    """
    name = recipe.student.architecture or smaller(spec)
    validate_student_name(name)
    student = ArchitectureSpec(name, spec.num_classes, spec.input_size)
    chosen = plan(
        recipe,
        labelled=data.labels is not None,
        unlabelled=data.images is not None,
        obstacle=_obstacle(spec, student) if recipe.method == "auto" and data.labels is not None else "",
    )
    orders = []
    if chosen.control is not None:
        orders.append(StudentOrder("undefended", chosen.control, "none", student))
    role: Literal["undefended", "defended"] = "undefended" if chosen.defense == "none" else "defended"
    orders.append(StudentOrder(role, chosen.method, chosen.defense, student))
    return chosen, tuple(orders)


def _obstacle(teacher: ArchitectureSpec, student: ArchitectureSpec) -> str:
    """Say why the features of two networks cannot be compared, or nothing; no weights are made."""
    with torch.device("meta"):
        networks = build(teacher), build(student)
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
        data: Clean images for the methods that use them; photographs for ``ood``.
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
    run = _Run(teacher, student, data, recipe, order, monitor, tuple(recovered), resume)
    distilled = _METHODS[order.method](run)
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
        decisions=distilled.decisions,
    )
    return TrainedStudent(distilled.network, result)


def split_images(data: AuditData, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Return the indices of the clean images that a method may train on, and of those that measure students.

    Without labels the images count as one class.

    Raises:
        RecipeError: If there are no clean images.
    """
    if data.images is None:
        raise RecipeError(
            "This method trains on clean images and none were given.",
            code="data_missing",
            hint="Upload a dataset with role clean_labelled, or choose method ood or zskt.",
        )
    labels = data.labels if data.labels is not None else torch.zeros(len(data.images), dtype=torch.int64)
    seed = derive_seed(recipe.seed, "measuring split")
    return split_for_measuring(labels, share=recipe.verify.holdout_share, seed=seed)


def trains_on_images(method: str) -> bool:
    """Whether a method sees the user's clean images."""
    return method not in DATA_FREE


def _initialized(spec: ArchitectureSpec, seed: int) -> StagedClassifier:
    """Build a network whose first weights depend on ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "student"))
        return build(spec)


def _ood(run: _Run) -> Distilled:
    patches = make_patches(
        run.data.photographs or builtin_photographs(),
        count=run.recipe.ood.patches,
        size=run.teacher.spec.input_size,
        seed=derive_seed(run.recipe.seed, "training patches"),
        style=run.recipe.ood.patch_style,
        sharp_share=run.recipe.ood.sharp_share,
    )
    return distill_ood(
        run.teacher,
        run.student,
        patches,
        run.recipe.ood,
        defense=run.recipe.abd if run.order.defense == "abd" else None,
        seed=run.recipe.seed,
        monitor=run.monitor,
        resume=run.resume,
    )


def _zskt(run: _Run) -> Distilled:
    return distill_zskt(
        run.teacher,
        run.student,
        run.recipe.zskt,
        defense=run.recipe.abd if run.order.defense == "abd" else None,
        seed=run.recipe.seed,
        monitor=run.monitor,
        resume=run.resume,
    )


def _vanilla(run: _Run) -> Distilled:
    images, labels = _training_images(run)
    return distill_vanilla(
        run.teacher,
        run.student,
        images,
        labels,
        run.recipe.vanilla,
        seed=run.recipe.seed,
        monitor=run.monitor,
        resume=run.resume,
    )


def _feature(run: _Run) -> Distilled:
    images, labels = _labelled_images(run)
    return distill_feature(
        run.teacher,
        run.student,
        images,
        labels,
        run.recipe.robustkd.feature,
        seed=run.recipe.seed,
        monitor=run.monitor,
        resume=run.resume,
    )


def _robustkd(run: _Run) -> Distilled:
    images, labels = _labelled_images(run)
    return distill_robustkd(
        run.teacher,
        run.student,
        images,
        labels,
        run.recipe.robustkd,
        seed=run.recipe.seed,
        monitor=run.monitor,
        resume=run.resume,
        recovered_triggers=run.recovered,
    )


_METHODS: dict[str, Callable[[_Run], Distilled]] = {
    "ood": _ood,
    "zskt": _zskt,
    "vanilla": _vanilla,
    "feature": _feature,
    "robustkd": _robustkd,
}


def _training_images(run: _Run) -> tuple[Tensor, Tensor | None]:
    training, _ = split_images(run.data, run.recipe)
    images = run.data.images
    assert images is not None, "split_images refused it"  # noqa: S101
    return images[training], None if run.data.labels is None else run.data.labels[training]


def _labelled_images(run: _Run) -> tuple[Tensor, Tensor]:
    images, labels = _training_images(run)
    if labels is None:
        raise RecipeError(
            "This method trains on labels and none were given.",
            code="data_missing",
            hint="Upload a dataset with role clean_labelled, or choose method ood or zskt.",
        )
    return images, labels
