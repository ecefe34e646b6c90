"""Does one class win everywhere once images drown in noise?

Xiang et al., "CBD: A Certified Backdoor Detector Based on Local Dominant Probability", NeurIPS 2023. With one
image x_k of each class, the local dominant probability of class c is

    LDP(c) = mean over k of P[f(x_k + noise) = c],   noise ~ N(0, sigma^2 I),

and the score is the largest of them: a trigger that works robustly makes its target win more often. The paper
estimates it from 1,024 noises an image; smaller budgets draw fewer (the error of a share of one half is then
at most .5 / sqrt(noises)). The noise is not clipped to [0, 1], as the theory asks.

The paper bounds its false positives by comparing the score with those of clean reference networks on clean
images. The bound does not hold without both. Where there are no clean images, patches of photographs that the
teacher assigns to the classes stand in; classes without any are left out, which is a departure: two of three
digits networks with a known backdoor put nearly all patches into one class.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.data.bundle import AuditData
from models.engine.monitor import Monitor, raise_if_stopped
from models.metrics import predict
from models.probes.bounded_batches import images_per_batch
from models.probes.probe_images import MOST_CLEAN_IMAGES, ProbeImages
from models.probes.unmarked import UNMARKED, not_applicable, require_finite
from models.recipes.probe_catalog import find_probe
from models.results.audit import ProbeResult

#: Standard deviation of the noise in pixels of [0, 1], as on CIFAR-10.
SIGMA = 1.1

#: One image alone tells its own class from noise, and no class from others.
FEWEST_CLASSES = 2


@dataclass(frozen=True, eq=False)
class ClassImages:
    """One image each of some classes."""

    images: Tensor
    """uint8 (M, 3, S, S)."""
    source: str
    """Which images, in words."""


def one_image_per_class(
    classifier: nn.Module,
    data: AuditData,
    images: ProbeImages,
    num_classes: int,
    *,
    generator: torch.Generator,
) -> ClassImages:
    """Choose one image of each class at random: by label, else by what the teacher says.

    Args:
        classifier: Takes pixels in [0, 1].
        data: Its clean images come first, however few.
        images: Surrogates, for when there is no clean image.
        num_classes: K.
        generator: Of the choice.

    Raises:
        RecipeError: Fewer than two classes have an image (code ``probe_not_applicable``).
    """
    if data.images is not None and len(data.images):
        order = torch.randperm(len(data.images), generator=generator, device=generator.device).cpu()
        if data.labels is None:
            order = order[:MOST_CLEAN_IMAGES]
        pictures = data.images[order]
        classes = predict(classifier, pictures) if data.labels is None else data.labels[order]
        source = "clean images" if data.labels is None else "labelled clean images"
    else:
        pictures, source = torch.cat([images.search, images.held_out]), images.source
        classes = predict(classifier, pictures)
    chosen = [(classes == label).nonzero()[:1, 0] for label in range(num_classes)]
    found = torch.cat(chosen)
    if len(found) < FEWEST_CLASSES:
        raise not_applicable(f"the {source} cover only {len(found)} of {num_classes} classes")
    return ClassImages(pictures[found], source)


def local_dominance(
    classifier: nn.Module,
    pictures: ClassImages,
    num_classes: int,
    *,
    noises: int,
    generator: torch.Generator,
    monitor: Monitor,
) -> ProbeResult:
    """Measure how often each class is named under noise.

    Args:
        classifier: Takes pixels, (N, 3, S, S), and returns logits (N, K); in eval mode.
        pictures: One image per class.
        num_classes: K.
        noises: Draws per image.
        generator: Of the noise; its device is where the probe computes.
        monitor: Asked before every batch.

    Returns:
        ``class_scores`` are LDP(c); ``statistic`` is the largest.

    Raises:
        Interrupted: The monitor asked to stop.
        TrainingFailed: A logit is not finite (code ``non_finite``).
    """
    started = time.monotonic()
    device = generator.device
    pixels = pictures.images.to(device).float() / 255
    hits = torch.zeros(num_classes, dtype=torch.int64, device=device)
    total = len(pixels) * noises
    step = images_per_batch(pixels.shape[-1])
    for start in range(0, total, step):
        raise_if_stopped(monitor)
        places = torch.arange(start, min(start + step, total), device=device) // noises
        noise = torch.randn(len(places), *pixels.shape[1:], generator=generator, device=device)
        with torch.no_grad():
            logits = classifier(pixels[places] + SIGMA * noise)
        require_finite(logits, "logits")
        hits += torch.bincount(logits.argmax(dim=1), minlength=num_classes)
        monitor.progress(start + len(places), total)
    # Every image has equally many noises, so the mean over all is the mean over classes.
    return _report(hits.double().cpu() / total, pictures, num_classes, time.monotonic() - started)


def _report(scores: Tensor, pictures: ClassImages, num_classes: int, seconds: float) -> ProbeResult:
    target, covered = int(scores.argmax()), len(pictures.images)
    return ProbeResult(
        probe="local_dominance",
        summary=(
            f"Of {pictures.source} under heavy noise, one each of {covered} of {num_classes} classes, "
            f"{float(scores[target]):.1%} are named class {target} (an even share is {1 / num_classes:.1%}). "
            f"{UNMARKED} The paper's bound on false alarms needs clean images and clean reference networks."
        ),
        target_label=target,
        statistic=float(scores[target]),
        conspicuous=False,
        class_scores=tuple(scores.tolist()),
        blind_to=find_probe("local_dominance").blind_to,
        seconds=seconds,
    )
