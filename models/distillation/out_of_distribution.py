"""Distillation on patches of a few photographs: nothing of the teacher's data, nothing generated.

Source: Asano and Saeed, The Augmented Image Prior, ICLR 2023; as ABD uses it (algorithms.md 2.3). Departures:
the loss is the mean over the batch of T² KL instead of a mean over classes without T². Adam does not see the
factor, but beside it the defense's weights mean the same for 10 classes and for 43. Batches are drawn with
replacement, each as a function of seed and step, so that a resumed run needs no random state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.architectures import StagedClassifier
from models.checkpoints.load import Teacher
from models.data.augment import cutmix, random_crop, random_flip
from models.distillation.abd.distiller import run_data_free
from models.distillation.data_free import ScheduledAdam, answer, finish, wants_compiling
from models.distillation.defense import Defense, NoDefense
from models.distillation.distilled import Distilled
from models.distillation.losses import sample_divergence
from models.engine.compiled import maybe_compiled
from models.engine.frozen import frozen
from models.engine.monitor import Monitor, ResumeState
from models.engine.precision import autocast, bfloat16_pays, to_channels_last
from models.engine.seed import make_generator
from models.recipes.abd import AbdRecipe
from models.recipes.ood import OodRecipe


def distill_ood(
    teacher: Teacher,
    student: StagedClassifier,
    patches: Tensor,
    recipe: OodRecipe,
    *,
    defense: AbdRecipe | None,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
) -> Distilled:
    """Train ``student`` to answer as the teacher does on patches.

    Args:
        teacher: Whom to learn from; frozen meanwhile.
        student: Freshly initialized; trained in place.
        patches: uint8 (N, 3, S, S) of the teacher's input size.
        recipe: Length, rates, augmentation.
        defense: ABD, or None for the undefended student.
        seed: Of batches, augmentation and the defense.
        monitor: Told of every step.
        resume: A state that the monitor was offered by a run of the same arguments.

    Raises:
        TrainingFailed: If the loss is not finite.
        Interrupted: If the monitor asks to stop.
    """
    with frozen(teacher.network):
        task = OodTask(teacher, student, patches, recipe, seed=seed)
        result, decisions = run_data_free(task, defense, seed=seed, monitor=monitor, resume=resume)
    # Of the stretch that ABD runs twice, the student that is kept knows one run.
    return finish(student, result, task.steps * recipe.batch_size, decisions)


class OodTask:
    """A student that learns on patches, one batch per step."""

    def __init__(
        self,
        teacher: Teacher,
        student: StagedClassifier,
        patches: Tensor,
        recipe: OodRecipe,
        *,
        seed: int,
    ) -> None:
        """Plan the run; arguments as of ``distill_ood``, the teacher frozen."""
        self.classifier = teacher.pixel_classifier()
        self.teacher = teacher.network
        self.student = student
        self.patches = patches
        self.recipe = recipe
        self.seed = seed
        self.defense: Defense = NoDefense()
        self.steps = max(1, round(recipe.images / recipe.batch_size))
        self.optimizer = ScheduledAdam(
            list(student.parameters()), recipe.learning_rate, recipe.schedule, self.steps
        )
        self.device = next(student.parameters()).device
        self.fast = bfloat16_pays(self.device)
        to_channels_last(student)
        to_channels_last(self.teacher)
        seen = self.steps * recipe.batch_size
        wanted = wants_compiling(recipe.compile, student, teacher.spec.input_size, seen)
        self.student_losses = maybe_compiled(self._student_losses, self.device, wanted=wanted)

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Learn from one batch; returns the loss and what the defense has to tell."""
        x = self._batch(self.recipe.batch_size, f"batch {index}")
        self.student.train()
        with torch.no_grad(), autocast(self.device, self.fast):
            answers, stages = answer(self.teacher, x)
        target = answers.float()
        self.defense.observe(index, x, target)
        losses, logits = self.student_losses(x, target)
        loss = self.defense.student_loss(x, target, losses, stages)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.defense.add_gradients(x, 1.0)
        self.optimizer.step(index)
        agreement = (logits.argmax(dim=1) == target.argmax(dim=1)).float().mean()
        return {"loss": loss.detach(), "agreement": agreement, **self.defense.scalars()}

    def _student_losses(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the student's loss on each image (N,) and its logits (N, K)."""
        with autocast(self.device, self.fast):
            logits = self.student(x)
        temperature = self.recipe.temperature
        return sample_divergence(target, logits, temperature) * temperature**2, logits

    def pseudo_images(self, count: int, stream: str) -> Tensor:
        """Return ``count`` augmented patches, normalized (count, 3, S, S)."""
        return self._batch(count, f"pseudo {stream}")

    def postpone(self, steps: int) -> None:
        """Nothing but the student learns here."""

    def state_dict(self) -> dict[str, Any]:
        """Return student, optimizer and defense."""
        return {
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "defense": self.defense.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.defense.load_state_dict(state["defense"])

    def _batch(self, count: int, stream: str) -> Tensor:
        generator = make_generator(self.seed, stream)
        images = self.patches[torch.randint(len(self.patches), (count,), generator=generator)]
        if self.recipe.horizontal_flip:
            images = random_flip(images, generator=generator)
        padding = round(self.recipe.crop_padding * images.shape[-1] / 32)
        images = random_crop(images, padding=padding, generator=generator)
        if self.recipe.cutmix:
            images = cutmix(images, generator=generator)
        pixels = images.to(self.device).float() / 255.0
        return self.classifier.normalize(pixels).contiguous(memory_format=torch.channels_last)
