"""Distillation on images recovered from the teacher; the recipe's type says by which method."""

from __future__ import annotations

from models.architectures import StagedClassifier
from models.checkpoints.load import Teacher
from models.distillation.distilled import Distilled
from models.distillation.inversion.cmi import CmiSynthesizer
from models.distillation.inversion.fast import FastSynthesizer
from models.distillation.inversion.task import InversionTask, run_inversion
from models.engine.frozen import frozen
from models.engine.monitor import Monitor, ResumeState
from models.recipes.abd import AbdRecipe
from models.recipes.cmi import CmiRecipe
from models.recipes.fast import FastRecipe


def distill_by_inversion(
    teacher: Teacher,
    student: StagedClassifier,
    recipe: CmiRecipe | FastRecipe,
    *,
    defense: AbdRecipe | None,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
) -> Distilled:
    """Train ``student`` to answer as the teacher does on images recovered from the teacher.

    Args:
        teacher: Whom to learn from; frozen meanwhile.
        student: Freshly initialized; trained in place.
        recipe: Lengths, rates and weights.
        defense: ABD, or None for the undefended student.
        seed: Of generators, noise, views, batches and the defense.
        monitor: Told of every step of either side.
        resume: A state that the monitor was offered by a run of the same arguments.

    Raises:
        RecipeError: ``batchnorm_missing`` if the teacher has none, ``input_size_unsupported`` if the input's
            side is not a multiple of 4.
        TrainingFailed: If a loss is not finite.
        Interrupted: If the monitor asks to stop.
    """
    with frozen(teacher.network):
        task = inversion_task(teacher, student, recipe, seed=seed)
        return run_inversion(task, defense, seed=seed, monitor=monitor, resume=resume)


def inversion_task(
    teacher: Teacher, student: StagedClassifier, recipe: CmiRecipe | FastRecipe, *, seed: int
) -> InversionTask:
    """Plan a run; arguments as of ``distill_by_inversion``, the teacher frozen."""
    synthesizer = (
        CmiSynthesizer(teacher, student, recipe, seed=seed)
        if isinstance(recipe, CmiRecipe)
        else FastSynthesizer(teacher, student, recipe, seed=seed)
    )
    return InversionTask(
        teacher, student, synthesizer, recipe.learning, student_steps=recipe.student_steps, seed=seed
    )
