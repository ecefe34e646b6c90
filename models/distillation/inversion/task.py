"""Rounds of inversion and learning: a batch of images is made, then the student learns from all so far.

One step of the loop is one step of the synthesis or one of the student, so that stopping, resuming and ABD's
repetition of the last share of a run are as fine as in the other methods. A run repeated by ABD makes new
images in its last rounds and learns from them with retrospection. Where in a round it is, is a part of the
state and not computed from the step's number, which goes on when ABD turns back; the number names the random
streams and places the learning rate.

Source: Fang et al., IJCAI 2021; after algorithms.md 2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from models.architectures import PixelClassifier, StagedClassifier
from models.checkpoints.load import Teacher
from models.distillation.abd.distiller import run_data_free
from models.distillation.data_free import ScheduledSgd, finish
from models.distillation.defense import Defense, NoDefense
from models.distillation.distilled import Distilled
from models.distillation.inversion.image_pool import ImagePool
from models.distillation.losses import batch_divergence
from models.engine.monitor import Monitor, ResumeState
from models.engine.precision import autocast, bfloat16_pays, to_channels_last
from models.engine.seed import make_generator
from models.errors import TrainingFailed
from models.recipes.abd import AbdRecipe
from models.recipes.pool_learning import PoolLearningRecipe


class Synthesizer(Protocol):
    """Makes one batch of images per round."""

    rounds: int
    warmup_rounds: int
    """First rounds, in which the student neither learns nor is asked."""
    steps: int
    """Steps of a round."""

    def begin(self, index: int) -> None:
        """Start a round, at step ``index`` of the loop."""

    def step(
        self, index: int, defense: Defense, *, adversarial: bool
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Take a step; returns its normalized views, the teacher's logits of them, and named scalars."""

    def end(self) -> Tensor:
        """Finish the round; returns its best images, uint8 (N, 3, S, S)."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs, in the midst of a round or between two."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""


def crop_padding(recipe: PoolLearningRecipe, side: int) -> int:
    """Scale the recipe's padding, which is for side 32, to images of ``side`` pixels."""
    return round(recipe.crop_padding * side / 32)


class InversionTask:
    """A synthesizer, a pool and a student."""

    def __init__(
        self,
        teacher: Teacher,
        student: StagedClassifier,
        synthesizer: Synthesizer,
        recipe: PoolLearningRecipe,
        *,
        student_steps: int,
        seed: int,
    ) -> None:
        """Plan the run.

        Args:
            teacher: Frozen.
            student: Freshly initialized; trained in place.
            synthesizer: Of the same teacher and student.
            recipe: The student's side.
            student_steps: Of each round that is no warm-up.
            seed: Of batches and augmentation.
        """
        self.teacher, self.student = teacher.network, student
        self.synthesizer, self.recipe, self.seed = synthesizer, recipe, seed
        self.classifier: PixelClassifier = teacher.pixel_classifier()
        self.defense: Defense = NoDefense()
        self.student_steps = student_steps
        self.warmup_steps = synthesizer.warmup_rounds * synthesizer.steps
        learning_rounds = synthesizer.rounds - synthesizer.warmup_rounds
        self.learning_steps = learning_rounds * student_steps
        self.steps = synthesizer.rounds * synthesizer.steps + self.learning_steps
        self.optimizer = ScheduledSgd(
            list(student.parameters()),
            recipe.learning_rate,
            "cosine",
            self.steps,
            weight_decay=recipe.weight_decay,
        )
        self.device = teacher.device
        self.fast = bfloat16_pays(self.device)
        self.padding = crop_padding(recipe, teacher.spec.input_size)
        self.pool = ImagePool(teacher.spec.input_size, self.device)
        self.round, self.place = 0, 0
        self.told: dict[str, Tensor] = {}
        to_channels_last(student)
        to_channels_last(self.teacher)

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take a step of the synthesis or of the student; returns the latest scalars of both."""
        told = self._synthesize(index) if self.place < self.synthesizer.steps else self._learn(index)
        self.told = self.told | told
        if "agreement" not in self.told:
            # Until the student learns, the loss is the generator's.
            self.told["loss"] = self.told["inversion_loss"]
        self.place += 1
        warm = self.round < self.synthesizer.warmup_rounds
        if self.place >= self.synthesizer.steps + (0 if warm else self.student_steps):
            self.round, self.place = self.round + 1, 0
        return {**self.told, **self.defense.scalars()}

    def _synthesize(self, index: int) -> dict[str, Tensor]:
        if self.place == 0:
            self.synthesizer.begin(index)
        adversarial = self.round >= self.synthesizer.warmup_rounds
        x, logits, told = self.synthesizer.step(index, self.defense, adversarial=adversarial)
        self._show(index, x.detach(), logits.detach())
        if self.place == self.synthesizer.steps - 1:
            self.pool.add(self.synthesizer.end())
        return told

    def _show(self, index: int, x: Tensor, logits: Tensor) -> None:
        """Let the defense see images, counting from the end of the warm-up: it judges by the first ones."""
        if index >= self.warmup_steps:
            self.defense.observe(index - self.warmup_steps, x, logits)

    def _learn(self, index: int) -> dict[str, Tensor]:
        x = self._batch(self.recipe.batch_size, f"batch {index}")
        self.student.train()
        with torch.no_grad(), autocast(self.device, self.fast):
            target = self.teacher(x).float()
        self._show(index, x, target)
        with autocast(self.device, self.fast):
            logits = self.student(x)
        temperature = self.recipe.temperature
        loss = batch_divergence(target, logits, temperature) * temperature**2
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        # The factor T² undoes what the temperature did to the gradient, so this loss is as large as a
        # divergence at temperature 1. The code's 400 times a divergence at 20 comes to the same.
        self.defense.add_gradients(x, 1.0)
        self.optimizer.step(index)
        agreement = (logits.argmax(dim=1) == target.argmax(dim=1)).float().mean()
        return {"loss": loss.detach(), "agreement": agreement}

    def pseudo_images(self, count: int, stream: str) -> Tensor:
        """Return ``count`` images of the pool, augmented and normalized (count, 3, S, S)."""
        return self._batch(count, f"pseudo {stream}")

    def _batch(self, count: int, stream: str) -> Tensor:
        pixels = self.pool.batch(
            count,
            padding=self.padding,
            flip=self.recipe.horizontal_flip,
            generator=make_generator(self.seed, stream),
        )
        return self.classifier.normalize(pixels).contiguous(memory_format=torch.channels_last)

    def postpone(self, steps: int) -> None:
        """The synthesis learns at rates that do not fall."""

    def state_dict(self) -> dict[str, Any]:
        """Return student, optimizer, synthesizer, pool, defense and the place in the round."""
        return {
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "synthesizer": self.synthesizer.state_dict(),
            "pool": self.pool.state_dict(),
            "defense": self.defense.state_dict(),
            "round": [self.round, self.place],
            "told": dict(self.told),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.synthesizer.load_state_dict(state["synthesizer"])
        self.pool.load_state_dict(state["pool"])
        self.defense.load_state_dict(state["defense"])
        self.round, self.place = state["round"]
        self.told = dict(state["told"])


_INSTEAD = "Choose method ood, which makes no images from the teacher; or lower the learning rates."


def run_inversion(
    task: InversionTask,
    defense: AbdRecipe | None,
    *,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None,
) -> Distilled:
    """Run a task whose teacher is frozen, with ABD or without, and write its record.

    Raises:
        TrainingFailed: If a loss is not finite.
        Interrupted: If the monitor asks to stop.
    """
    try:
        result, decisions = run_data_free(task, defense, seed=seed, monitor=monitor, resume=resume)
    except TrainingFailed as failed:
        raise TrainingFailed(failed.detail, code=failed.code, hint=_INSTEAD) from failed
    # With or without ABD: of the stretch that ABD runs twice, the student that is kept knows one run.
    return finish(task.student, result, task.learning_steps * task.recipe.batch_size, decisions)
