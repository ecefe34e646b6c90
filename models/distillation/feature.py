"""Feature distillation (overhaul): the student learns the teacher's features before the activation.

Without an edit this is the undefended control of RobustKD; with one it is RobustKD's second half.
"""

from __future__ import annotations

from torch import Tensor

from models.architectures import StagedClassifier, StageEdit
from models.checkpoints.load import Teacher
from models.distillation.distilled import Distilled
from models.distillation.feature_task import FeatureTask, check_stages
from models.distillation.labelled_batches import LabelledBatches
from models.engine.frozen import frozen
from models.engine.loop import run_loop
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import derive_seed
from models.recipes.feature import FeatureRecipe


def distill_feature(
    teacher: Teacher,
    student: StagedClassifier,
    images: Tensor,
    labels: Tensor,
    recipe: FeatureRecipe,
    *,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
    edit: StageEdit | None = None,
) -> Distilled:
    """Train ``student`` on the teacher's features and the labels.

    Args:
        teacher: Whom to learn from; frozen meanwhile.
        student: Freshly initialized; trained in place.
        images: Clean, uint8 (N, 3, H, W), of the teacher's input size.
        labels: int64 (N,).
        recipe: Length, rates and weights.
        seed: Of batches and connectors.
        monitor: Told of every step.
        resume: A state that the monitor was offered by a run of the same arguments.
        edit: Changes the teacher's stage outputs, as RobustKD does; None is the undefended control.

    Raises:
        RecipeError: ``stages_incompatible``, ``too_few_images`` or ``labels_mismatch``.
        TrainingFailed: If the loss is not finite.
        Interrupted: If the monitor asks to stop.
    """
    check_stages(teacher.network, student, images.shape[-1])
    batches = student_batches(teacher, images, labels, recipe, seed)
    steps = _steps(batches, recipe)
    with frozen(teacher.network):
        task = FeatureTask(
            teacher.pixel_classifier(), student, batches, recipe, steps=steps, seed=seed, edit=edit
        )
        stream = derive_seed(seed, "dropout")
        result = run_loop(task, steps=steps, monitor=monitor, resume=resume, seed=stream)
    return Distilled(
        network=student.eval(),
        curve=result.curve,
        decisions=(),
        images_seen=steps * batches.batch_size,
        seconds=result.seconds,
        final=result.final,
        steps=steps,
    )


def student_steps(teacher: Teacher, images: Tensor, labels: Tensor, recipe: FeatureRecipe, seed: int) -> int:
    """Return how many steps ``distill_feature`` takes; arguments and errors are its own."""
    return _steps(student_batches(teacher, images, labels, recipe, seed), recipe)


def _steps(batches: LabelledBatches, recipe: FeatureRecipe) -> int:
    return batches.steps(epochs=recipe.epochs, max_images=recipe.max_images)


def student_batches(
    teacher: Teacher, images: Tensor, labels: Tensor, recipe: FeatureRecipe, seed: int
) -> LabelledBatches:
    """Return the batches that ``distill_feature`` trains on; arguments and errors are its own."""
    return LabelledBatches(
        teacher.pixel_classifier(),
        images,
        labels,
        batch_size=recipe.batch_size,
        crop_padding=recipe.crop_padding,
        horizontal_flip=recipe.horizontal_flip,
        seed=derive_seed(seed, "student"),
    )
