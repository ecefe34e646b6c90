"""Attack success rate, on images that are not of the target class; of one source class; of all to all."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.errors import RecipeError
from models.metrics.intervals import wilson
from models.metrics.prediction import BATCH_SIZE, predict
from models.results.audit import Rate
from models.triggers.base import Trigger


def attack_success(
    network: nn.Module,
    images: Tensor,
    labels: Tensor | None,
    trigger: Trigger,
    *,
    teacher: nn.Module | None = None,
    source_label: int | None = None,
    batch_size: int = BATCH_SIZE,
) -> Rate:
    """Measure the share of triggered images that the network sends to the target.

    Images of the target class are left out: they would inflate the rate by up to one over the number of
    classes. Report it beside ``clean_target_rate`` and the accuracy: a collapsed network that names one class
    for everything has an attack success of 0 or 1 without any backdoor.

    Args:
        network: Takes pixels in [0, 1].
        images: (N, 3, H, W), uint8 (stamped on the grid of bytes) or pixels in [0, 1].
        labels: int64 (N,). Without them the images that ``teacher`` sends to the target are left out.
        trigger: What is stamped.
        teacher: Needed without labels; the same for every student, so that all see the same images.
        source_label: Measure on images of this class alone, as a source-specific attack wants it.
        batch_size: Images at a time.

    Raises:
        RecipeError: If no image is left (code ``nothing_to_measure``) or labels and teacher are both missing.
    """
    victims = _victims(images, labels, trigger.target_label, teacher, batch_size, source_label=source_label)
    hits = predict(network, trigger.stamp(victims), batch_size=batch_size) == trigger.target_label
    return wilson(int(hits.sum()), len(victims))


def all_to_all_success(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    trigger: Trigger,
    *,
    num_classes: int,
    batch_size: int = BATCH_SIZE,
) -> Rate:
    """Measure the share of triggered images that the network sends to the class after their own.

    No class is left out: every image has a wrong class to go to.

    Args:
        network: Takes pixels in [0, 1].
        images: (N, 3, H, W), uint8 (stamped on the grid of bytes) or pixels in [0, 1].
        labels: int64 (N,).
        trigger: What is stamped.
        num_classes: K; an image of class y is sent to ``(y + 1) % K``.
        batch_size: Images at a time.
    """
    hits = predict(network, trigger.stamp(images), batch_size=batch_size) == (labels.cpu() + 1) % num_classes
    return wilson(int(hits.sum()), len(images))


def clean_target_rate(
    network: nn.Module,
    images: Tensor,
    labels: Tensor | None,
    target_label: int,
    *,
    teacher: nn.Module | None = None,
    batch_size: int = BATCH_SIZE,
) -> Rate:
    """Measure the share of the same images that goes to the target without a trigger.

    Arguments and errors are those of ``attack_success``.
    """
    victims = _victims(images, labels, target_label, teacher, batch_size)
    hits = predict(network, victims, batch_size=batch_size) == target_label
    return wilson(int(hits.sum()), len(victims))


def _victims(
    images: Tensor,
    labels: Tensor | None,
    target_label: int,
    teacher: nn.Module | None,
    batch_size: int,
    *,
    source_label: int | None = None,
) -> Tensor:
    if labels is None:
        if teacher is None:
            raise RecipeError(
                "Attack success without labels needs the teacher's predictions.", code="labels_missing"
            )
        labels = predict(teacher, images, batch_size=batch_size)
    labels = labels.to(images.device)
    wanted = labels != target_label if source_label is None else labels == source_label
    victims = images[torch.nonzero(wanted).flatten()]
    if not len(victims) and source_label is not None:
        raise RecipeError(
            f"No image is of the source class {source_label}.",
            code="nothing_to_measure",
            hint="Give images of that class.",
        )
    if not len(victims):
        raise RecipeError(
            f"Every image is of the target class {target_label}: attack success cannot be measured.",
            code="nothing_to_measure",
            hint="Give images of other classes too.",
        )
    return victims
