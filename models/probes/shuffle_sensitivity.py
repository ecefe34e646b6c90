"""Which predictions survive when the channels of the last stage are shuffled?

A trigger is carried by a few channels, natural evidence by many, so what a shuffled copy still says is
suspect. Hong et al. (ABD, ICML 2023) train a student by it; here the same copies are asked as a detector. If
some images keep their prediction far more than the others do, the log of the divergence between teacher and
copy has a heavy lower tail; ABD's code takes more than 2 % below three deviations as evidence (algorithms.md
1.3). The scan by class follows A.2 there.

Departures. Copies are asked one by one: the mean of several names one class for nearly everything more often
still. And since a copy that names one class for everything agrees on that class by chance, a class's score is
the share of its images that keep their class, less the share of other images that are sent there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from models.architectures import PixelClassifier
from models.distillation.abd.shuffling_vaccine import ShuffledEnsemble, shuffle_divergence, shuffled_layers
from models.distillation.abd.vaccine_selection import tail_ratio
from models.engine.monitor import Monitor, raise_if_stopped
from models.probes.bounded_batches import pixel_batches
from models.probes.unmarked import UNMARKED, not_applicable, require_finite
from models.recipes.abd import VaccineRecipe
from models.recipes.probe_catalog import find_probe
from models.results.audit import ProbeResult

#: A share of fewer images is not scored.
FEWEST_IMAGES = 5


@dataclass(frozen=True, eq=False)
class _Answers:
    """Of teacher and copies: classes (N,) and (C, N), divergences (C, N), for C copies."""

    classes: Tensor
    shuffled: Tensor
    divergences: Tensor


def shuffle_sensitivity(
    classifier: PixelClassifier,
    images: Tensor,
    source: str,
    *,
    num_classes: int,
    copies: int,
    generator: torch.Generator,
    monitor: Monitor,
) -> ProbeResult:
    """Compare the teacher with copies of it whose last stage is shuffled.

    Args:
        classifier: In eval mode; left as it came.
        images: uint8 (N, 3, S, S).
        source: What they are, in words.
        num_classes: K.
        copies: How many shuffles, at least 1.
        generator: Of the shuffles, on the CPU.
        monitor: Asked before every batch.

    Returns:
        ``statistic`` is the mean share in the lower tail; ``target_label`` the class that keeps its images
        best beyond chance, None if fewer than two have images enough; ``class_scores`` how well each class
        does, in [-1, 1], when every class has, else empty.

    Raises:
        Interrupted: The monitor asked to stop.
        RecipeError: There is nothing to shuffle (code ``probe_not_applicable``).
        TrainingFailed: A logit is not finite (code ``non_finite``).
    """
    started = time.monotonic()
    network = classifier.network
    if not network.stage_channels or not shuffled_layers(network, None):
        raise not_applicable("the network has no stage whose channels can be shuffled")
    answers = _ask(classifier, images, copies, generator, monitor)
    scores = _kept_beyond_chance(answers, num_classes)
    target = max(scores, key=lambda label: scores[label]) if len(scores) > 1 else None
    tail = sum(tail_ratio(row) for row in answers.divergences) / copies
    return ProbeResult(
        probe="shuffle_sensitivity",
        summary=_summarize(answers, tail, target, scores, source),
        target_label=target,
        statistic=tail,
        conspicuous=False,
        class_scores=tuple(scores.values()) if len(scores) == num_classes else (),
        blind_to=find_probe("shuffle_sensitivity").blind_to,
        seconds=time.monotonic() - started,
    )


def _summarize(
    answers: _Answers, tail: float, target: int | None, scores: dict[int, float], source: str
) -> str:
    copies, count = answers.shuffled.shape
    kept = float((answers.shuffled == answers.classes).double().mean())
    best = (
        f" Class {target} keeps its images best, {scores[target]:+.1%} beyond chance."
        if target in scores
        else ""
    )
    return (
        f"{copies} copies with shuffled channels keep the class of {kept:.1%} of {count} {source}; "
        f"{tail:.2%} of the images hold on far more than the rest "
        f"(a normal distribution has 0.13%).{best} {UNMARKED}"
    )


def _ask(
    classifier: PixelClassifier, images: Tensor, copies: int, generator: torch.Generator, monitor: Monitor
) -> _Answers:
    """Ask the teacher and ``copies`` shuffled copies of it about the images."""
    network, direction = classifier.network, VaccineRecipe().direction
    device = next(classifier.parameters()).device
    # One copy takes all shuffles in turn: eight copies of a large network would not fit.
    ensemble = ShuffledEnsemble(network, 1, None)
    seeds = torch.randint(2**62, (copies,), generator=generator).tolist()
    classes, shuffled, divergences, done = [], [], [], 0
    for batch in pixel_batches(images, device):
        raise_if_stopped(monitor)
        with torch.no_grad():
            x = classifier.normalize(batch)
            outputs = network.forward_stages(x)
            rows = []
            for seed in seeds:
                ensemble.shuffle(torch.Generator().manual_seed(seed))
                rows.append(ensemble.logits(x, outputs.stages))
            logits = torch.stack(rows)
        require_finite(outputs.logits, "logits")
        require_finite(logits, "logits, once shuffled,")
        classes.append(outputs.logits.argmax(dim=1))
        shuffled.append(logits.argmax(dim=2))
        divergences.append(
            torch.stack([shuffle_divergence(outputs.logits, row, direction) for row in logits])
        )
        done += len(batch)
        monitor.progress(done, len(images))
    return _Answers(
        torch.cat(classes).cpu(), torch.cat(shuffled, dim=1).cpu(), torch.cat(divergences, dim=1).cpu()
    )


def _kept_beyond_chance(answers: _Answers, num_classes: int) -> dict[int, float]:
    """Return by class the share of its images that keep it, less the share of others that get it."""
    scores = {}
    for label in range(num_classes):
        own = answers.classes == label
        if int(own.sum()) >= FEWEST_IMAGES and not bool(own.all()):
            named = (answers.shuffled == label).double()
            scores[label] = float(named[:, own].mean() - named[:, ~own].mean())
    return scores
