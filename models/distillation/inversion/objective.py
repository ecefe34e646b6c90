"""What an image recovered from a teacher is asked to be: the terms that CMI and the fast method share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.architectures import StagedClassifier
from models.distillation.defense import Defense
from models.distillation.inversion.batchnorm_statistics import BatchNormReader, MomentsAverage, Reading
from models.distillation.losses import sample_divergence
from models.engine.precision import autocast, bfloat16_pays
from models.recipes.cmi import CmiRecipe
from models.recipes.fast import FastRecipe


@dataclass(frozen=True)
class InversionWeights:
    """Factors of the terms; a term of weight 0 is not computed."""

    batchnorm: float
    one_hot: float
    adversarial: float
    relative: bool = False
    """Measure statistics in units of each channel's running variance."""

    @classmethod
    def of(cls, recipe: CmiRecipe | FastRecipe) -> InversionWeights:
        """Return what a method's recipe says."""
        return cls(
            recipe.batchnorm_weight,
            recipe.one_hot_weight,
            recipe.adversarial_weight,
            relative=recipe.batchnorm_distance == "relative",
        )


@dataclass(frozen=True, eq=False)
class Inverted:
    """How one batch of views fares."""

    loss: Tensor
    """A scalar with its graph."""
    parts: dict[str, Tensor]
    """The terms without their weights."""
    reading: Reading
    """Of the teacher on the views."""


def adversarial_term(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Compute minus the mean over *all* images of KL(T || S), where both name the same class; a scalar.

    Summed over classes, temperature 1 (algorithms.md 8, item 18): divided by the number of agreeing images
    instead, a last image on which both agree would be pushed as hard as all of them.

    Args:
        teacher_logits: (N, K).
        student_logits: (N, K).
    """
    agree = teacher_logits.argmax(dim=1) == student_logits.argmax(dim=1)
    return -(sample_divergence(teacher_logits, student_logits) * agree).mean()


@contextmanager
def consulted(student: StagedClassifier) -> Iterator[None]:
    """Hold a student in eval mode without parameter gradients, while images are made (item 23).

    In train mode its running statistics would move with images that are not finished.
    """
    student.eval().requires_grad_(False)
    try:
        yield
    finally:
        student.train().requires_grad_(True)


class InversionObjective:
    """Sums the terms for normalized views of generated images."""

    def __init__(
        self,
        teacher: StagedClassifier,
        student: StagedClassifier,
        weights: InversionWeights,
        average: MomentsAverage | None = None,
    ) -> None:
        """Join the networks.

        Args:
            teacher: Frozen.
            student: Put into eval mode while it is asked, and into train mode after that.
            weights: Of the terms.
            average: Statistics of earlier batches, which count as part of each batch; its owner keeps it.

        Raises:
            RecipeError: ``batchnorm_missing`` if the teacher has no statistics.
        """
        self.reader = BatchNormReader(teacher)
        self.student = student
        self.weights = weights
        self.average = average
        device = next(teacher.parameters()).device
        self.device, self.fast = device, bfloat16_pays(device)

    def read(self, x: Tensor) -> Reading:
        """Run the teacher on normalized images (N, 3, H, W)."""
        with autocast(self.device, self.fast):
            return self.reader.read(x.contiguous(memory_format=torch.channels_last))

    def __call__(self, x: Tensor, labels: Tensor, defense: Defense, *, adversarial: bool = True) -> Inverted:
        """Measure views.

        Args:
            x: Normalized (N, 3, H, W).
            labels: What they are meant to be, (N,).
            defense: Its term joins the loss.
            adversarial: Whether the student is asked at all.
        """
        reading = self.read(x)
        parts = {"one_hot_loss": functional.cross_entropy(reading.logits, labels)}
        loss = self.weights.one_hot * parts["one_hot_loss"]
        moments = reading.moments if self.average is None else self.average.with_batch(reading.moments)
        if self.weights.batchnorm > 0.0:
            reader = self.reader
            distance = reader.distance_behind if self.weights.relative else reader.distance
            parts["statistics_loss"] = distance(moments)
            loss = loss + self.weights.batchnorm * parts["statistics_loss"]
        if adversarial and self.weights.adversarial > 0.0:
            with consulted(self.student), autocast(self.device, self.fast):
                answers = self.student(x)
            parts["adversarial_loss"] = adversarial_term(reading.logits, answers)
            loss = loss + self.weights.adversarial * parts["adversarial_loss"]
        parts["vaccine_term"] = defense.generator_term(x, reading.logits)
        return Inverted(loss + parts["vaccine_term"], parts, reading)
