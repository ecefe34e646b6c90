"""RobustKD from the teacher to the student: search a threshold, then distill the detoxified features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from models.architectures import PixelClassifier, StagedClassifier
from models.checkpoints.load import Teacher
from models.data.split import split_for_measuring
from models.distillation.distilled import Distilled
from models.distillation.feature import distill_feature, student_steps
from models.distillation.feature_task import check_stages
from models.distillation.labelled_batches import LabelledBatches
from models.distillation.robustkd.detoxification import DetoxificationTask, mean_stage_outputs
from models.distillation.robustkd.feature_mask import FeatureMask
from models.distillation.robustkd.phases import PhaseMonitor, Search, unwrap
from models.distillation.robustkd.threshold_search import (
    acceptable,
    choose,
    describe,
    measure,
)
from models.engine.frozen import frozen
from models.engine.loop import run_loop
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import derive_seed, make_generator
from models.errors import RecipeError
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
        detoxification = _Detoxification(teacher.pixel_classifier(), images, labels, recipe, seed)
        after = student_steps(teacher, images, labels, recipe.feature, seed)
        if not search.finished:
            detoxification.finish(search, monitor, inner, after, recovered_triggers)
            inner = None
        chosen = choose(search.candidates, recipe)
        before = len(search.candidates) * detoxification.steps
        distilled = distill_feature(
            teacher,
            student,
            images,
            labels,
            recipe.feature,
            seed=seed,
            monitor=PhaseMonitor(monitor, search, before=before, after=0),
            resume=inner,
            edit=detoxification.restore(chosen.threshold, search.mask_of(chosen)),
        )
    return replace(
        distilled,
        seconds=search.seconds + distilled.seconds,
        decisions=(describe(chosen, search.candidates, recipe), *distilled.decisions),
    )


class _Detoxification:
    """Trains and measures one mask per threshold, each from the same start and on the same batches."""

    def __init__(
        self, teacher: PixelClassifier, images: Tensor, labels: Tensor, recipe: RobustKDRecipe, seed: int
    ) -> None:
        training, held_out = split_for_measuring(
            labels, share=recipe.holdout_share, seed=derive_seed(seed, "threshold search")
        )
        if not len(held_out):
            raise RecipeError(
                "No labelled image is left to judge the detoxified teacher.",
                code="too_few_images",
                hint="Give at least two images per class, better a hundred, or choose a data-free method.",
            )
        self.teacher = teacher
        self.recipe = recipe
        self.images = images[held_out]
        self.labels = labels[held_out]
        self.batches = LabelledBatches(
            teacher,
            images[training],
            labels[training],
            batch_size=recipe.mask_batch_size,
            crop_padding=recipe.feature.crop_padding,
            horizontal_flip=recipe.feature.horizontal_flip,
            seed=derive_seed(seed, "masks"),
        )
        self.steps = self.batches.steps(epochs=recipe.rounds, max_images=recipe.max_images)
        order = torch.randperm(len(training), generator=make_generator(seed, "mean features"))
        self.means = mean_stage_outputs(teacher, images[training[order[: recipe.mean_images]]])

    def start(self, threshold: float) -> FeatureMask:
        """Return an untrained mask."""
        return FeatureMask(self.means, threshold=threshold, mode=self.recipe.mode)

    def restore(self, threshold: float, state: Mapping[str, Tensor]) -> FeatureMask:
        """Return a trained mask from its state, to be used and no longer trained."""
        mask = self.start(threshold)
        mask.load_state_dict(dict(state))
        return mask.requires_grad_(False)

    def finish(
        self,
        search: Search,
        monitor: Monitor,
        resume: ResumeState | None,
        after: int,
        triggers: Sequence[Trigger],
    ) -> None:
        """Try the thresholds that ``search`` has not seen, until one is acceptable or none is left.

        Args:
            search: Extended in place.
            monitor: Hears of the whole run.
            resume: State of the threshold that was being tried.
            after: Steps that follow the search.
            triggers: Recovered ones.
        """
        thresholds = self.recipe.thresholds
        while not search.finished:
            tried = len(search.candidates)
            left = (len(thresholds) - tried - 1) * self.steps + after
            phase = PhaseMonitor(monitor, search, before=tried * self.steps, after=left)
            mask = self.start(thresholds[tried])
            task = DetoxificationTask(self.teacher, mask, self.batches, self.recipe)
            search.seconds += run_loop(task, steps=self.steps, monitor=phase, resume=resume).seconds
            resume = None
            candidate = measure(self.teacher, mask, self.images, self.labels, triggers)
            search.add(candidate, mask)
            search.finished = acceptable(candidate, self.recipe) or tried + 1 == len(thresholds)
