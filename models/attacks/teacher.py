"""Training a teacher on data that may be poisoned, as an attacker would, for demos, tests and benchmarks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.architectures import PixelClassifier, StagedClassifier
from models.architectures.last_layer import last_layer
from models.architectures.staged import StageOutputs
from models.attacks.adversarial_step import adversarial_step
from models.data.augment import cutout, mixup, random_crop, random_flip
from models.engine.loop import LoopResult, run_loop
from models.engine.monitor import Monitor, ResumeState
from models.engine.precision import autocast, bfloat16_pays, to_channels_last
from models.engine.seed import derive_seed, make_generator
from models.errors import RecipeError
from models.metrics.prediction import to_pixels

Precision = Literal["fast", "float32"]


@dataclass(frozen=True)
class TeacherTraining:
    """How a teacher is trained: SGD with Nesterov momentum, in the papers for more epochs."""

    epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    crop_padding: int = 1
    """Largest random shift in pixels. It moves the trigger too, which sits exactly in place at test time."""
    horizontal_flip: bool = False
    """Off, because a mirrored digit is another digit or none."""
    cutout: int = 0
    """Side of a square that is blackened at a random place, in pixels; 0 for none."""
    label_smoothing: float = 0.0
    mixup: float = 0.0
    """Concentration of the Beta distribution that pairs of images are mixed by; 0 for none."""
    adversarial: float = 0.0
    """Largest adversarial change of a pixel, in [0, 1]; 0 for none."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """``cosine`` warms up over a tenth of the run; ``constant`` is for fine-tuning."""
    trained: Literal["all", "last_layer"] = "all"
    """``last_layer`` keeps every other weight and all BatchNorm statistics, as a transfer learner would."""
    precision: Precision = "fast"
    """``fast``: bfloat16 where it pays, channels-last, fused SGD. ``float32`` gives the same weights on every
    machine that rounds alike, and those of earlier versions."""


@dataclass(frozen=True, eq=False)
class TermBatch:
    """What a further loss can look at."""

    x: Tensor
    """(N + M, 3, H, W), normalized: the training batch, then the extra images."""
    outputs: StageOutputs
    """The network's, of all of them."""
    labels: Tensor
    """int64 (N,), of the training batch."""


class TeacherTerm(Protocol):
    """What an attacker adds to the cross entropy."""

    name: str
    """Of the part of the loss."""

    def extra_images(self, step: int) -> Tensor | None:
        """Return further images, uint8 (M, 3, H, W), to run in the same batch; they have no label."""

    def __call__(self, network: StagedClassifier, batch: TermBatch) -> Tensor:
        """Return the scalar to add."""


def train_teacher(
    classifier: PixelClassifier,
    images: Tensor,
    labels: Tensor,
    training: TeacherTraining,
    *,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
    term: TeacherTerm | None = None,
) -> LoopResult:
    """Train in place, with cross entropy; leaves the network in evaluation mode.

    Poison the images before (``models.attacks.poison``): whoever trains does not know which ones are.

    Args:
        classifier: Its network is trained, its normalization is used.
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        training: Length and rates.
        seed: Of order and augmentation; the initialization is the caller's.
        monitor: Hears of progress, and may stop the run at any step.
        resume: A state that the monitor was offered by a run of the same arguments.
        term: A further loss.

    Raises:
        TrainingFailed: If the loss is not finite (code ``non_finite``).
        Interrupted: If the monitor asks to stop.
    """
    with _trained_parameters(classifier, training):
        task = TeacherTask(classifier, images, labels, training, seed=seed, term=term)
        stream = derive_seed(seed, "dropout")
        result = run_loop(task, steps=task.steps, monitor=monitor, resume=resume, seed=stream)
    classifier.eval()
    return result


class TeacherTask:
    """A network that learns labelled images, one batch a step."""

    def __init__(
        self,
        classifier: PixelClassifier,
        images: Tensor,
        labels: Tensor,
        training: TeacherTraining,
        *,
        seed: int,
        term: TeacherTerm | None = None,
    ) -> None:
        """Plan the run; arguments as of ``train_teacher``. An epoch's last, incomplete batch is left out."""
        self.device = next(classifier.network.parameters()).device
        self.classifier, self.training, self.term = classifier, training, term
        # The bytes of CIFAR fit on every GPU, and then no step waits for a transfer.
        self.images, self.labels = images.to(self.device), labels.to(self.device)
        self.each = max(1, len(images) // training.batch_size)
        self.steps = training.epochs * self.each
        self.generator = make_generator(seed, "teacher")
        self.order = torch.zeros(0, dtype=torch.int64)
        self.fast = training.precision == "fast"
        self.bfloat16 = self.fast and bfloat16_pays(self.device)
        if self.fast:
            to_channels_last(classifier.network)
        self.optimizer = torch.optim.SGD(
            [parameter for parameter in classifier.parameters() if parameter.requires_grad],
            lr=training.learning_rate,
            momentum=training.momentum,
            weight_decay=training.weight_decay,
            nesterov=True,
            fused=self.fast or None,
        )
        classifier.train(training.trained == "all")

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Learn one batch; returns ``loss`` and, with a term, its part."""
        place = index % self.each
        if place == 0:
            self.order = torch.randperm(len(self.images), generator=self.generator)
        size = self.training.batch_size
        chosen = self.order[place * size : (place + 1) * size].to(self.device)
        losses = self._losses(self._augmented(self.images[chosen]), self.labels[chosen], index)
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.learning_rate * self._rate(index)
        self.optimizer.zero_grad()
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {name: value.detach() for name, value in losses.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return network, optimizer, and where the random stream and the epoch's order are."""
        return {
            "network": self.classifier.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "order": self.order,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.classifier.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, kept in self.optimizer.state.items():
            # Stored states are contiguous. Fused SGD walks through memory, so weights and momentum must lie
            # in the same order.
            if kept.get("momentum_buffer") is not None:
                kept["momentum_buffer"] = torch.empty_like(parameter).copy_(kept["momentum_buffer"])
        self.generator.set_state(state["generator"])
        self.order = state["order"]

    def _losses(self, batch: Tensor, labels: Tensor, index: int) -> dict[str, Tensor]:
        smoothing = self.training.label_smoothing
        extra = None if self.term is None else self.term.extra_images(index)
        if extra is not None:
            batch = torch.cat([batch, extra.to(batch.device)])
        pixels = to_pixels(batch, self.classifier)
        if self.fast:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        if self.term is None:
            return {"loss": self._label_loss(pixels, labels)}
        network = self.classifier.network
        with autocast(self.device, self.bfloat16):
            x = self.classifier.normalize(pixels)
            outputs = network.forward_stages(x)
            added = self.term(network, TermBatch(x, outputs, labels))
        logits = outputs.logits[: len(labels)].float()
        label_loss = cross_entropy(logits, labels, label_smoothing=smoothing)
        return {"loss": label_loss + added, "label_loss": label_loss, self.term.name: added}

    def _label_loss(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """Return the cross entropy, of adversarial or mixed images where the training says so."""
        training, generator = self.training, self.generator
        others, share = labels, 1.0
        if training.mixup:
            pixels, order, share = mixup(pixels, generator=generator, concentration=training.mixup)
            others = labels[order]
        with autocast(self.device, self.bfloat16):
            if training.adversarial:
                pixels = adversarial_step(
                    self.classifier, pixels, labels, epsilon=training.adversarial, generator=generator
                )
            logits = self.classifier(pixels).float()
        loss = cross_entropy(logits, labels, label_smoothing=training.label_smoothing)
        if share == 1.0:
            return loss
        return share * loss + (1 - share) * cross_entropy(
            logits, others, label_smoothing=training.label_smoothing
        )

    def _augmented(self, batch: Tensor) -> Tensor:
        training = self.training
        batch = random_crop(batch, padding=training.crop_padding, generator=self.generator)
        if training.horizontal_flip:
            batch = random_flip(batch, generator=self.generator)
        if training.cutout:
            batch = cutout(batch, side=training.cutout, generator=self.generator)
        return batch

    def _rate(self, step: int) -> float:
        """Warm up over a tenth of the run, then go down a cosine to 0."""
        if self.training.schedule == "constant":
            return 1.0
        warm_up = max(1, self.steps // 10)
        rising = (step + 1) / warm_up
        falling = 0.5 * (1.0 + math.cos(math.pi * max(0, step - warm_up) / max(1, self.steps - warm_up)))
        return min(rising, falling)


@contextmanager
def _trained_parameters(classifier: PixelClassifier, training: TeacherTraining) -> Iterator[None]:
    """Let only what is trained have gradients."""
    if training.trained == "all":
        yield
        return
    flags = [(parameter, parameter.requires_grad) for parameter in classifier.parameters()]
    last = last_layer(classifier.network)
    if last is None:
        raise RecipeError("The network has no last layer that could be trained alone.")
    classifier.requires_grad_(False)
    last.requires_grad_(True)
    try:
        yield
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
