"""RobustKD from the teacher to the student: search a threshold, then distill the detoxified features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from models.architectures import StagedClassifier
from models.checkpoints.load import Teacher
from models.distillation.distilled import Distilled
from models.distillation.feature import distill_feature, student_steps
from models.distillation.feature_task import check_stages
from models.distillation.robustkd.mask_training import MaskTraining
from models.distillation.robustkd.phases import PhaseMonitor, Search, unwrap
from models.distillation.robustkd.threshold_decision import describe
from models.distillation.robustkd.threshold_search import choose
from models.distillation.robustkd.threshold_trials import ThresholdTrials
from models.engine.frozen import frozen
from models.engine.monitor import Monitor, ResumeState
from models.recipes.robustkd import RobustKDRecipe
from models.triggers import Trigger


def distill_robustkd(
    teacher: Teacher,
    student: StagedClassifier,
    images: Tensor,
    labels: Tensor,
    recipe: RobustKDRecipe,
    *,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
    recovered_triggers: Sequence[Trigger] = (),
) -> Distilled:
    """Train ``student`` on the teacher's detoxified features; the threshold is among the decisions.

    A held-out share of the images judges the threshold. The student learns from all of them, as its control
    ``distill_feature`` does with the same seed: same batches, connectors and length, other targets.

    Args:
        teacher: The suspect.
        student: Freshly initialized; trained in place.
        images: Clean, uint8 (N, 3, H, W), of the teacher's input size.
        labels: int64 (N,).
        recipe: Limits and lengths.
        seed: Of every random choice.
        monitor: Hears of the search and the distillation as one run.
        resume: A state that the monitor was offered by a run of the same arguments.
        recovered_triggers: What an audit found in the original teacher. Never the benchmark's own trigger.

    Raises:
        RecipeError: ``stages_incompatible``, ``too_few_images`` or ``labels_mismatch``.
        TrainingFailed: If a loss is not finite.
        Interrupted: If the monitor asks to stop.
    """
    check_stages(teacher.network, student, images.shape[-1])
    inner, search = (None, Search()) if resume is None else unwrap(resume)
    with frozen(teacher.network):
        training = MaskTraining(teacher.pixel_classifier(), images, labels, recipe, seed=seed)
        after = student_steps(teacher, images, labels, recipe.feature, seed)
        trials = ThresholdTrials(training, search, monitor, inner, after=after)
        if not search.finished:
            trials.run(recovered_triggers)
            inner = None
        chosen = choose(search.candidates, recipe)
        distilled = distill_feature(
            teacher,
            student,
            images,
            labels,
            recipe.feature,
            seed=seed,
            monitor=PhaseMonitor(monitor, search, before=trials.spent, after=0),
            resume=inner,
            edit=training.restore(chosen.threshold, search.mask_of(chosen)),
        )
    decision = describe(chosen, search.candidates, search.planted, recipe)
    return replace(
        distilled,
        seconds=search.seconds + distilled.seconds,
        decisions=(decision, *distilled.decisions),
    )
