"""Measure teacher and students side by side; ``models.acceptance`` decides.

Labels and the user's own triggers enter here and nowhere earlier: they judge a finished student, they never
choose one (``algorithms.md`` 8, item 46).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.acceptance import NamedClasses, decide
from models.architectures import PixelClassifier
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.distillation.methods import split_images
from models.distillation.students import trains_on_images
from models.engine.monitor import Monitor, raise_if_stopped
from models.engine.seed import derive_seed
from models.errors import RecipeError
from models.metrics import accuracy, agreement, attack_success, clean_target_rate, measure_cost, predict
from models.recipes.architecture import ArchitectureSpec
from models.recipes.job import Recipe
from models.recipes.verify import VerifyRecipe
from models.results.teacher_check import TeacherCheck
from models.results.verification import AttackSuccess, NetworkMeasurement, VerificationResult
from models.triggers import Trigger

#: Patches that stand in for clean images when none were given; no student is trained on them.
MEASURING_PATCHES = 2_000

Role = Literal["teacher", "undefended", "defended"]


@dataclass(frozen=True)
class Candidate:
    """A network to measure; takes pixels in [0, 1]."""

    role: Role
    classifier: PixelClassifier
    spec: ArchitectureSpec


@dataclass(frozen=True)
class MeasuredTrigger:
    """A trigger and where it comes from."""

    trigger: Trigger
    origin: Literal["given", "recovered"]


@dataclass(frozen=True)
class MeasuringImages:
    """Images to measure on, none of which a student was trained on.

    ``images`` is uint8 (N, 3, H, W), ``labels`` int64 (N,) or None.
    """

    images: Tensor
    labels: Tensor | None
    source: str


def measuring_images(teacher: Teacher, data: AuditData, recipe: Recipe, *, method: str) -> MeasuringImages:
    """Choose the images that judge the students: none that a student was trained on.

    Args:
        teacher: Says the input's size.
        data: What the user gave.
        recipe: The job's.
        method: How the students were made. Of the images it trained on, only those held out are used.

    Returns:
        Clean images if they were given, else patches cut with another seed than the training patches.
    """
    if data.images is None:
        patches = make_patches(
            data.photographs or builtin_photographs(),
            count=MEASURING_PATCHES,
            size=teacher.spec.input_size,
            seed=derive_seed(recipe.seed, "measuring patches"),
            style=recipe.ood.patch_style,
        )
        return MeasuringImages(patches, None, "surrogate patches")
    images, labels = data.images, data.labels
    if trains_on_images(method):
        _, held_out = split_images(data, recipe)
        images = images[held_out]
        labels = None if labels is None else labels[held_out]
    chosen = _at_random(len(images), recipe.verify.max_images, recipe.seed)
    return MeasuringImages(images[chosen], None if labels is None else labels[chosen], "clean images")


def verify(
    candidates: Sequence[Candidate],
    images: MeasuringImages,
    triggers: Sequence[MeasuredTrigger],
    recipe: VerifyRecipe,
    monitor: Monitor,
    *,
    check: TeacherCheck | None = None,
) -> VerificationResult:
    """Measure every candidate and decide about the last one.

    Args:
        candidates: The teacher first, the student to be accepted last.
        images: What to measure on.
        triggers: Given and recovered ones.
        recipe: Thresholds.
        monitor: Told after each network.
        check: Of the teacher against the labelled images, if there are any.

    Raises:
        RecipeError: If the first candidate is not a teacher or there is no student.
        Interrupted: If the monitor asks to stop.
    """
    if len(candidates) < 2 or candidates[0].role != "teacher":
        raise RecipeError("Verification compares a teacher with at least one student.")
    started = time.monotonic()
    rows = []
    for done, candidate in enumerate(candidates, start=1):
        raise_if_stopped(monitor)
        rows.append(_measure(candidate, candidates[0].classifier, images, triggers))
        monitor.progress(done, len(candidates))
    named = NamedClasses(*(_classes_named(one, images) for one in (candidates[0], candidates[-1])))
    decision = decide(rows[0], rows[-1], recipe, named, check)
    return VerificationResult(
        networks=tuple(rows),
        image_source=images.source,
        images=len(images.images),
        checks=decision.checks,
        accepted=decision.accepted,
        sentence=decision.sentence,
        seconds=time.monotonic() - started,
    )


def _at_random(count: int, limit: int, seed: int) -> Tensor:
    """Return at most ``limit`` indices, at random: archives are sorted by class."""
    order = torch.randperm(
        count, generator=torch.Generator().manual_seed(derive_seed(seed, "measuring images"))
    )
    return order[:limit].sort().values


def _measure(
    candidate: Candidate, teacher: nn.Module, images: MeasuringImages, triggers: Sequence[MeasuredTrigger]
) -> NetworkMeasurement:
    network = candidate.classifier
    cost = measure_cost(network.network, candidate.spec)
    return NetworkMeasurement(
        role=candidate.role,
        architecture=candidate.spec.name,
        parameters=cost.parameters,
        macs=cost.macs,
        size_bytes=cost.size_bytes,
        latency_ms=cost.latency_ms,
        accuracy=None if images.labels is None else accuracy(network, images.images, images.labels),
        agreement=agreement(network, teacher, images.images),
        attacks=tuple(_attack(network, teacher, images, item) for item in triggers),
    )


def _classes_named(candidate: Candidate, images: MeasuringImages) -> int:
    return len(set(predict(candidate.classifier, images.images).tolist()))


def _attack(
    network: nn.Module, teacher: nn.Module, images: MeasuringImages, item: MeasuredTrigger
) -> AttackSuccess:
    trigger = item.trigger
    return AttackSuccess(
        trigger=trigger.name,
        origin=item.origin,
        target_label=trigger.target_label,
        rate=attack_success(network, images.images, images.labels, trigger, teacher=teacher),
        clean_rate=clean_target_rate(
            network, images.images, images.labels, trigger.target_label, teacher=teacher
        ),
    )
