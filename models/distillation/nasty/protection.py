"""Protecting a network: train its nasty twin, then measure what it costs the owner, and a thief.

The owner's labelled images are split once, by the job's seed: the twin and all students train on one part,
everything is measured on the other. If the original was trained on the held-out images too, its own accuracy
there flatters it; the nasty twin started from scratch has not seen them. Nothing measured chooses anything:
the last step is taken, and the measurement decides only what the report says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from models.architectures import StagedClassifier, build
from models.architectures.empty_weights import build_empty
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.distillation.data_free import finish
from models.distillation.labelled_batches import LabelledBatches
from models.distillation.nasty.judgment import ProtectionAnswers, judge
from models.distillation.nasty.owner_images import ProtectionSplit, split_images
from models.distillation.nasty.self_undermining import SelfUnderminingTask
from models.distillation.nasty.stolen_students import train_stolen_students
from models.engine.frozen import frozen
from models.engine.loop import run_loop
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import derive_seed, seeded
from models.errors import RecipeError
from models.metrics import predict
from models.recipes.architecture import ArchitectureSpec
from models.recipes.protect import ProtectRecipe
from models.results.protection import ProtectionResult, ProtectionTraining


@dataclass(frozen=True, eq=False)
class Protected:
    """A nasty network with its record."""

    network: StagedClassifier
    """In evaluation mode; takes images normalized as the original's."""
    result: ProtectionTraining


def protect(
    original: Teacher,
    data: AuditData | ProtectionSplit,
    recipe: ProtectRecipe,
    *,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
    architecture: str | None = None,
) -> Protected:
    """Train the nasty twin of a network.

    Args:
        original: The owner's network; not changed.
        data: Labelled clean images; divided already, where a benchmark has a test set.
        recipe: How.
        seed: Of split, first weights, order and augmentation.
        monitor: Told of every step.
        resume: What the same call handed to ``monitor.checkpoint`` before it was interrupted.
        architecture: Of the twin, from new weights; None takes the original's. The paper's "adversarial
            network of another architecture" is the original here.

    Raises:
        RecipeError: If there are no labelled images, too few, or labels beyond the network's classes; if a
            twin of another architecture should start from the original's weights; if the students that
            measure it do not take such images.
        TrainingFailed: ``nasty_diverged`` if the network forgets its task, ``non_finite``.
        Interrupted: If the monitor asks to stop.
    """
    split = split_images(original, data, recipe, seed=seed)
    _check_students(original, recipe)
    spec = original.spec if architecture is None else replace(original.spec, name=architecture, layers=None)
    nasty = _first_weights(original, spec, recipe, seed)
    batches = _batches(original, split, recipe, seed)
    steps = batches.steps(epochs=recipe.epochs, max_images=recipe.max_images)
    stream = derive_seed(seed, "protection dropout")
    with frozen(original.network):
        task = SelfUnderminingTask(original, nasty, batches, recipe, steps=steps)
        loop = run_loop(task, steps=steps, monitor=monitor, resume=resume, seed=stream)
    trained = finish(nasty, loop, steps * batches.batch_size)
    result = ProtectionTraining(
        architecture=spec,
        start=recipe.start,
        omega=recipe.omega,
        temperature=recipe.temperature,
        training_images=len(split.images),
        steps=trained.steps,
        images_seen=trained.images_seen,
        seconds=trained.seconds,
        seed=seed,
        final=trained.final,
        curve=trained.curve,
    )
    return Protected(trained.network, result)


def measure_protection(
    original: Teacher,
    nasty: StagedClassifier,
    data: AuditData | ProtectionSplit,
    recipe: ProtectRecipe,
    *,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
) -> ProtectionResult:
    """Compare a network with its nasty twin, and students of both with a student of neither.

    Args:
        original: The owner's network.
        nasty: From ``protect`` with the same data, recipe and seed.
        data: As for ``protect``.
        recipe: As for ``protect``.
        seed: As for ``protect``.
        monitor: Told of every step of the students.
        resume: What the same call handed to ``monitor.checkpoint`` before it was interrupted.

    Raises:
        RecipeError: As ``protect``; also if the students' network does not take such images.
        TrainingFailed: ``non_finite``.
        Interrupted: If the monitor asks to stop.
    """
    split = split_images(original, data, recipe, seed=seed)
    students = train_stolen_students(
        original, nasty, split, recipe, seed=seed, monitor=monitor, resume=resume
    )
    twin = replace(original, network=nasty)
    answers = ProtectionAnswers(
        labels=split.held_out_labels,
        original=predict(original.pixel_classifier(), split.held_out_images),
        nasty=predict(twin.pixel_classifier(), split.held_out_images),
        students=students.answers,
    )
    return judge(answers, recipe, steps=students.steps, seconds=students.seconds)


def _batches(original: Teacher, split: ProtectionSplit, recipe: ProtectRecipe, seed: int) -> LabelledBatches:
    return LabelledBatches(
        original.pixel_classifier(),
        split.images,
        split.labels,
        batch_size=recipe.batch_size,
        crop_padding=recipe.crop_padding,
        horizontal_flip=recipe.horizontal_flip,
        seed=derive_seed(seed, "protection batches"),
    )


def _check_students(original: Teacher, recipe: ProtectRecipe) -> None:
    """Refuse students that cannot be built, before the twin is trained; no weights are made."""
    spec = original.spec
    build_empty(partial(build, ArchitectureSpec(recipe.harm.architecture, spec.num_classes, spec.input_size)))


def _first_weights(
    original: Teacher, spec: ArchitectureSpec, recipe: ProtectRecipe, seed: int
) -> StagedClassifier:
    if recipe.start == "original" and spec != original.spec:
        raise RecipeError(
            f"A {spec.name} cannot start from the weights of a {original.spec.name}.",
            hint="Set protect.start to scratch.",
        )
    with seeded(derive_seed(seed, "nasty")):
        network = build(spec)
    if recipe.start == "original":
        network.load_state_dict(original.network.state_dict())
    return network.to(original.device)
