"""The students that a thief would train, to measure what a protection does to them.

Three at a time: one learns from the labels alone, one is distilled from the original, one from the nasty
network, with

    alpha t² KL( softmax(teacher / t) || softmax(student / t) ) + (1 - alpha) CE

as in Ma et al., ICLR 2021, section 4.1 (alpha .9, the divergence a ``batchmean``; ``vanilla`` takes the mean
over classes too and so another constant). They start from the same weights, see the same batches in the same
order, because each step shows one batch to all three, and drop out the same units: what they end up doing
differently, they owe to whom they learned from. The thief is assumed to have the owner's images and labels,
as in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.architectures import PixelClassifier, StagedClassifier, build
from models.checkpoints.load import Teacher
from models.distillation.labelled_batches import LabelledBatches
from models.distillation.losses import batch_divergence
from models.distillation.nasty.owner_images import ProtectionSplit
from models.distillation.nasty.self_undermining import recipe_rate
from models.engine.frozen import frozen
from models.engine.loop import run_loop
from models.engine.monitor import Monitor, ResumeState
from models.engine.precision import autocast, bfloat16_pays, to_channels_last
from models.engine.seed import derive_seed, seeded
from models.metrics import predict
from models.recipes.architecture import ArchitectureSpec
from models.recipes.protect import ProtectRecipe
from models.results.protection import Source

SOURCES: tuple[Source, ...] = ("labels", "original", "nasty")


def student_loss(
    logits: Tensor, labels: Tensor, target: Tensor | None, *, temperature: float, weight: float
) -> Tensor:
    """Compute the loss of a student.

    Args:
        logits: The student's, (N, K).
        labels: int64 (N,).
        target: The teacher's logits, (N, K); None to learn from the labels alone.
        temperature: t of both softmaxes.
        weight: alpha, the share of the distillation term.

    Returns:
        A scalar in float32.
    """
    label_loss = cross_entropy(logits.float(), labels)
    if target is None:
        return label_loss
    return weight * temperature**2 * batch_divergence(target, logits, temperature) + (1 - weight) * label_loss


@dataclass(frozen=True, eq=False)
class StolenStudents:
    """What finished students answered."""

    answers: tuple[tuple[int, dict[Source, Tensor]], ...]
    """For each repetition its seed, and the classes (M,) named for the held-out images, by source."""
    steps: int
    """Of each student."""
    seconds: float


def train_stolen_students(
    original: Teacher,
    nasty: StagedClassifier,
    split: ProtectionSplit,
    recipe: ProtectRecipe,
    *,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None,
    sources: Sequence[Source] = SOURCES,
) -> StolenStudents:
    """Train the students of a network and its nasty twin.

    Args:
        original: The network.
        nasty: The twin, for images normalized as the network's.
        split: Images to train on, and those that finished students answer on.
        recipe: Of the protection and of its students.
        seed: Of all that is drawn.
        monitor: Told of every step.
        resume: What the same call handed to ``monitor.checkpoint`` before it was interrupted.
        sources: Which students to train; leaving some out changes nothing for the others.

    Raises:
        RecipeError: If the students' network does not take such images.
        TrainingFailed: ``non_finite``.
        Interrupted: If the monitor asks to stop.
    """
    twin = replace(original, network=nasty)
    with frozen(original.network), frozen(nasty):
        task = StolenStudentsTask(original, twin, split, recipe, seed=seed, sources=sources)
        loop = run_loop(task, steps=task.steps, monitor=monitor, resume=resume)
    answers = tuple(
        (task.seed_of(index), {source: task.answers[f"{index} {source}"] for source in task.sources})
        for index in range(recipe.harm.repetitions)
    )
    return StolenStudents(answers, task.each, loop.seconds)


class StolenStudentsTask:
    """One repetition after the other of the students in step."""

    def __init__(
        self,
        original: Teacher,
        nasty: Teacher,
        split: ProtectionSplit,
        recipe: ProtectRecipe,
        *,
        seed: int,
        sources: Sequence[Source] = SOURCES,
    ) -> None:
        """Plan the run.

        Args:
            original: Frozen by the caller for as long as the run lasts, as the other.
            nasty: The same network, made over.
            split: Images to train on, and those that finished students answer on.
            recipe: Of the protection and of its students.
            seed: Of first weights, order and augmentation; each repetition has its own from it.
            sources: Which students to train; leaving some out changes nothing for the others.
        """
        self.sources = tuple(sources)
        known: dict[Source, StagedClassifier] = {"original": original.network, "nasty": nasty.network}
        self.teachers = {source: network for source, network in known.items() if source in self.sources}
        self.device = original.device
        self.recipe, self.harm, self.seed = recipe, recipe.harm, seed
        self.classifier, self.split = original.pixel_classifier(), split
        self.spec = ArchitectureSpec(
            recipe.harm.architecture, original.spec.num_classes, original.spec.input_size
        )
        self.temperature = recipe.harm.temperature or recipe.temperature
        self.fast = bfloat16_pays(original.device)
        for network in self.teachers.values():
            to_channels_last(network)
        self.answers: dict[str, Tensor] = {}
        self._begin(0)
        self.each = self.batches.steps(epochs=self.harm.epochs, max_images=self.harm.max_images)
        self.steps = self.each * self.harm.repetitions

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Show one batch to all students; returns their mean ``loss`` and each one's accuracy on it."""
        repetition, place = divmod(index, self.each)
        if place == 0:
            self._begin(repetition)
        x, labels = self.batches(place)
        with torch.no_grad(), autocast(x.device, self.fast):
            targets = {name: network(x) for name, network in self.teachers.items()}
        losses, right = [], {}
        for source in self.sources:
            student, optimizer = self.students[source], self.optimizers[source]
            student.train()
            dropout = derive_seed(self.seed_of(repetition), f"dropout {place}")
            with seeded(dropout), autocast(x.device, self.fast):
                logits = student(x)
            loss = student_loss(
                logits,
                labels,
                targets.get(source),
                temperature=self.temperature,
                weight=self.harm.distillation_weight,
            )
            for group in optimizer.param_groups:
                group["lr"] = recipe_rate(self.harm, place, self.each)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach())
            right[f"accuracy_{source}"] = (logits.argmax(dim=1) == labels).float().mean()
        if place == self.each - 1:
            self._answer(repetition)
        return {"loss": torch.stack(losses).mean(), **right}

    def state_dict(self) -> dict[str, Any]:
        """Return the students at work, their optimizers, and what finished ones answered."""
        return {
            "students": {source: self.students[source].state_dict() for source in self.sources},
            "optimizers": {source: self.optimizers[source].state_dict() for source in self.sources},
            "answers": self.answers,
            "repetition": self.repetition,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self._begin(state["repetition"])
        for source in self.sources:
            self.students[source].load_state_dict(state["students"][source])
            self.optimizers[source].load_state_dict(state["optimizers"][source])
        self.answers = dict(state["answers"])

    def seed_of(self, repetition: int) -> int:
        """Return the seed of a repetition."""
        return derive_seed(self.seed, f"stolen students {repetition}")

    def _begin(self, repetition: int) -> None:
        seed = self.seed_of(repetition)
        self.repetition = repetition
        self.batches = LabelledBatches(
            self.classifier,
            self.split.images,
            self.split.labels,
            batch_size=self.harm.batch_size,
            crop_padding=self.recipe.crop_padding,
            horizontal_flip=self.recipe.horizontal_flip,
            seed=seed,
        )
        self.students = {source: _new(self.spec, seed).to(self.device) for source in self.sources}
        for student in self.students.values():
            to_channels_last(student)
        self.optimizers = {source: self._optimizer(student) for source, student in self.students.items()}

    def _optimizer(self, student: StagedClassifier) -> torch.optim.Optimizer:
        rate, decay = self.harm.learning_rate, self.harm.weight_decay
        if self.harm.optimizer == "adam":
            return torch.optim.Adam(student.parameters(), lr=rate, weight_decay=decay)
        return torch.optim.SGD(student.parameters(), lr=rate, momentum=0.9, weight_decay=decay)

    def _answer(self, repetition: int) -> None:
        normalization = self.classifier.normalization
        for source, student in self.students.items():
            self.answers[f"{repetition} {source}"] = predict(
                PixelClassifier(student, normalization), self.split.held_out_images
            )


def _new(spec: ArchitectureSpec, seed: int) -> StagedClassifier:
    with seeded(seed):
        return build(spec)
