"""Plain distillation on clean images, the control of the other methods.

``alpha T² KL + (1 - alpha) CE`` with the KL a mean over batch and classes (Hinton et al., 2015, in ABD's
reading; algorithms.md 2.4). Training and measuring normalize as the teacher was trained; ABD's control did
not, and kept its rate constant, so its 69 to 79 % are no upper bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.architectures import StagedClassifier
from models.checkpoints.load import Teacher
from models.data.augment import random_crop, random_flip
from models.distillation.data_free import finish
from models.distillation.distilled import Distilled
from models.distillation.losses import element_divergence
from models.engine.frozen import frozen
from models.engine.loop import run_loop
from models.engine.monitor import Monitor, ResumeState
from models.engine.precision import autocast, bfloat16_pays, to_channels_last
from models.engine.schedule import scheduled_rate
from models.engine.seed import derive_seed, make_generator
from models.errors import RecipeError
from models.recipes.vanilla import VanillaRecipe


def distill_vanilla(
    teacher: Teacher,
    student: StagedClassifier,
    images: Tensor,
    labels: Tensor | None,
    recipe: VanillaRecipe,
    *,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
) -> Distilled:
    """Train ``student`` on clean images.

    Args:
        teacher: Whom to learn from; frozen meanwhile.
        student: Freshly initialized; trained in place.
        images: uint8 (N, 3, S, S) of the teacher's input size.
        labels: int64 (N,), or None to learn from the teacher alone.
        recipe: Length, rates and weights.
        seed: Of batches and augmentation.
        monitor: Told of every step.
        resume: A state that the monitor was offered by a run of the same arguments.

    Raises:
        RecipeError: ``too_few_images`` if there are none.
        TrainingFailed: If the loss is not finite.
        Interrupted: If the monitor asks to stop.
    """
    if not len(images):
        raise RecipeError(
            "There are no images to train on.", code="too_few_images", hint="Give more clean images."
        )
    with frozen(teacher.network):
        task = VanillaTask(teacher, student, images, labels, recipe, seed=seed)
        stream = derive_seed(seed, "dropout")
        result = run_loop(task, steps=task.steps, monitor=monitor, resume=resume, seed=stream)
    return finish(student, result, result.steps * recipe.batch_size)


class VanillaTask:
    """A student that learns from labels and a teacher's answers, one batch per step."""

    def __init__(
        self,
        teacher: Teacher,
        student: StagedClassifier,
        images: Tensor,
        labels: Tensor | None,
        recipe: VanillaRecipe,
        *,
        seed: int,
    ) -> None:
        """Plan the run; arguments as of ``distill_vanilla``, the teacher frozen."""
        self.classifier = teacher.pixel_classifier()
        self.teacher, self.student = teacher.network, student
        self.images, self.labels, self.recipe, self.seed = images, labels, recipe, seed
        self.steps = max(1, round(recipe.images / recipe.batch_size))
        self.optimizer = torch.optim.SGD(
            student.parameters(), lr=recipe.learning_rate, momentum=0.9, weight_decay=recipe.weight_decay
        )
        self.device = next(student.parameters()).device
        self.fast = bfloat16_pays(self.device)
        to_channels_last(student)
        to_channels_last(self.teacher)

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Learn from one batch."""
        recipe = self.recipe
        x, labels = self._batch(index)
        self.student.train()
        with torch.no_grad(), autocast(self.device, self.fast):
            target = self.teacher(x)
        with autocast(self.device, self.fast):
            logits = self.student(x)
        distance = element_divergence(target, logits, recipe.temperature) * recipe.temperature**2
        loss = distance
        if labels is not None:
            label_loss = cross_entropy(logits.float(), labels)
            loss = recipe.distillation_weight * distance + (1 - recipe.distillation_weight) * label_loss
        for group in self.optimizer.param_groups:
            group["lr"] = scheduled_rate(recipe.schedule, recipe.learning_rate, index, self.steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        agreement = (logits.argmax(dim=1) == target.argmax(dim=1)).float().mean()
        return {"loss": loss.detach(), "distance": distance.detach(), "agreement": agreement}

    def state_dict(self) -> dict[str, Any]:
        """Return student and optimizer."""
        return {"student": self.student.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _batch(self, index: int) -> tuple[Tensor, Tensor | None]:
        generator = make_generator(self.seed, f"batch {index}")
        chosen = torch.randint(len(self.images), (self.recipe.batch_size,), generator=generator)
        images = self.images[chosen]
        if self.recipe.horizontal_flip:
            images = random_flip(images, generator=generator)
        padding = round(self.recipe.crop_padding * images.shape[-1] / 32)
        images = random_crop(images, padding=padding, generator=generator)
        pixels = images.to(self.device).float() / 255.0
        x = self.classifier.normalize(pixels).contiguous(memory_format=torch.channels_last)
        return x, None if self.labels is None else self.labels[chosen].to(self.device)
