"""Training a teacher on poisoned data, as an attacker would, for demos, tests and benchmarks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.architectures import PixelClassifier
from models.data.augment import random_crop, random_flip
from models.engine.monitor import Monitor, raise_if_stopped
from models.engine.seed import make_generator
from models.errors import TrainingFailed
from models.metrics.prediction import to_pixels


@dataclass(frozen=True)
class TeacherTraining:
    """How a teacher is trained: SGD with momentum under a cosine, as in the papers, for fewer epochs."""

    epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    crop_padding: int = 1
    """Largest random shift in pixels. It moves the trigger too, which sits exactly in place at test time."""
    horizontal_flip: bool = False
    """Off, because a mirrored digit is another digit or none."""


def train_teacher(
    classifier: PixelClassifier,
    images: Tensor,
    labels: Tensor,
    training: TeacherTraining,
    *,
    seed: int,
    monitor: Monitor,
) -> None:
    """Train in place, with cross entropy; leaves the network in evaluation mode.

    Poison the images before (``models.attacks.poison``): whoever trains does not know which ones are.

    Args:
        classifier: Its network is trained, its normalization is used.
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        training: Length and rates.
        seed: Of order and augmentation; the initialization is the caller's.
        monitor: Hears of progress every epoch, and may stop the run at any step.

    Raises:
        TrainingFailed: If the loss is not finite (code ``non_finite``).
        Interrupted: If the monitor asks to stop.
    """
    steps_per_epoch = max(1, len(images) // training.batch_size)
    total = training.epochs * steps_per_epoch
    optimizer = torch.optim.SGD(
        classifier.parameters(),
        lr=training.learning_rate,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        nesterov=True,
    )
    generator = make_generator(seed, "teacher")
    classifier.train()
    for epoch in range(training.epochs):
        order = torch.randperm(len(images), generator=generator)
        losses = []
        for index in range(steps_per_epoch):
            raise_if_stopped(monitor)
            _set_rate(optimizer, training.learning_rate, epoch * steps_per_epoch + index, total)
            chosen = order[index * training.batch_size : (index + 1) * training.batch_size]
            batch = _augment(images[chosen], training, generator)
            losses.append(_step(classifier, optimizer, batch, labels[chosen]))
        mean_loss = sum(losses) / len(losses)
        if not math.isfinite(mean_loss):
            raise TrainingFailed(
                f"The loss is {mean_loss} after epoch {epoch + 1}.",
                code="non_finite",
                hint="Lower the learning rate.",
            )
        monitor.progress((epoch + 1) * steps_per_epoch, total, loss=mean_loss)
    classifier.eval()


def _augment(batch: Tensor, training: TeacherTraining, generator: torch.Generator) -> Tensor:
    batch = random_crop(batch, padding=training.crop_padding, generator=generator)
    return random_flip(batch, generator=generator) if training.horizontal_flip else batch


def _step(
    classifier: PixelClassifier, optimizer: torch.optim.Optimizer, batch: Tensor, labels: Tensor
) -> float:
    pixels = to_pixels(batch, classifier)
    loss = cross_entropy(classifier(pixels), labels.to(pixels.device))
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.item()


def _set_rate(optimizer: torch.optim.Optimizer, peak: float, step: int, total: int) -> None:
    """Warm up over a tenth of the run, then go down a cosine to 0."""
    warm_up = max(1, total // 10)
    rising = (step + 1) / warm_up
    falling = 0.5 * (1.0 + math.cos(math.pi * max(0, step - warm_up) / max(1, total - warm_up)))
    for group in optimizer.param_groups:
        group["lr"] = peak * min(rising, falling)
