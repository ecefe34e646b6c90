"""The search for a threshold as a row of training runs that can be interrupted in any of them.

First the canaries are planted in a copy of the suspect, if there are any. Then for each threshold a mask of
the suspect is trained, and one of the copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

from models.architectures import PixelClassifier
from models.distillation.robustkd.canaries import TAKEN, CanaryTask
from models.distillation.robustkd.feature_mask import FeatureMask
from models.distillation.robustkd.mask_training import MaskTraining
from models.distillation.robustkd.phases import PhaseMonitor, Search, state_of
from models.distillation.robustkd.threshold_search import (
    acceptable,
    clean_accuracy,
    measure,
    measure_canaries,
    measure_planting,
)
from models.engine.loop import Task, run_loop
from models.engine.monitor import Monitor, ResumeState
from models.triggers import Trigger


class ThresholdTrials:
    """Tries thresholds in the recipe's order; what it finds is kept in ``search``."""

    def __init__(
        self,
        training: MaskTraining,
        search: Search,
        monitor: Monitor,
        resume: ResumeState | None,
        *,
        after: int,
    ) -> None:
        """Take up the search where it was.

        Args:
            training: Makes the masks.
            search: What an interrupted run left behind, or an empty one; extended in place.
            monitor: Hears of the whole run.
            resume: State of the training run that was interrupted.
            after: Steps that follow the search.
        """
        self.training = training
        self.recipe = training.recipe
        self.search = search
        self.monitor = monitor
        self.resume = resume
        masks = 2 if training.canaries else 1
        self.planting = self.recipe.canary_steps if training.canaries else 0
        self.trial = masks * training.steps
        self.planned = self.planting + len(self.recipe.thresholds) * self.trial + after

    @property
    def spent(self) -> int:
        """Steps of the training runs that are finished."""
        search = self.search
        return (
            (self.planting if search.planted else 0)
            + self.trial * len(search.candidates)
            + (self.training.steps if search.mask else 0)
        )

    def run(self, triggers: Sequence[Trigger]) -> None:
        """Go on until a threshold is acceptable or none is left.

        Args:
            triggers: Recovered ones.
        """
        search, training = self.search, self.training
        copy = self._planted_copy() if training.canaries else None
        taken = [one for one in training.canaries if search.planted[one.name] >= TAKEN]
        before = self._clean_accuracy(training.teacher)
        before_of_copy = 0.0 if copy is None else self._clean_accuracy(copy)
        while not search.finished:
            threshold = self.recipe.thresholds[len(search.candidates)]
            if not search.mask:
                search.mask = state_of(self._mask(training.teacher, threshold))
            candidate = measure(
                training.teacher,
                training.restore(threshold, search.mask),
                training.images,
                training.labels,
                triggers,
                before=before,
            )
            if copy is not None:
                edited = self._mask(copy, threshold)
                success, drop = measure_canaries(
                    copy, edited, training.images, training.labels, taken, before=before_of_copy
                )
                candidate = replace(candidate, canaries=success, copy_accuracy_drop=drop)
            search.add(candidate)
            last = len(search.candidates) == len(self.recipe.thresholds)
            search.finished = last or acceptable(candidate, self.recipe)

    def _clean_accuracy(self, classifier: PixelClassifier) -> float:
        return clean_accuracy(classifier, self.training.images, self.training.labels)

    def _planted_copy(self) -> PixelClassifier:
        training, search = self.training, self.search
        # The suspect carries no hooks to be copied along (algorithms.md 8, item 25).
        copy = deepcopy(training.teacher).requires_grad_(True)
        if search.copy:
            copy.network.load_state_dict(dict(search.copy))
        else:
            steps = self.recipe.canary_steps
            self._train(CanaryTask(copy, training.canaries, training.batches, steps=steps), steps)
            search.planted = measure_planting(copy, training.images, training.labels, training.canaries)
            search.copy = state_of(copy.network)
        return copy.eval().requires_grad_(False)

    def _mask(self, classifier: PixelClassifier, threshold: float) -> FeatureMask:
        mask = self.training.start(classifier, threshold)
        self._train(self.training.task(classifier, mask), self.training.steps)
        return mask.requires_grad_(False)

    def _train(self, task: Task, steps: int) -> None:
        before = self.spent
        phase = PhaseMonitor(self.monitor, self.search, before=before, after=self.planned - before - steps)
        seed = self.training.dropout_seed
        result = run_loop(task, steps=steps, monitor=phase, resume=self.resume, seed=seed)
        self.search.seconds += result.seconds
        self.resume = None
