"""How much do the last stage's features vary within an image, class by class?

RobustKD (algorithms.md 4 and 7) observed that poisoned teachers have features of a larger variance, by a
third and more, and lowers it. Its variance is v(x) = var over channels and positions of the raw output of the
last stage; a network can be rescaled so that v changes and its predictions do not, and v drifts with weight
decay, so as a number by itself it means nothing without references.

What is scored here is therefore a ratio within the network: the median v of the images that the teacher
assigns to a class, over the middle one of the classes' medians. A backdoor's target is expected to be
extreme (algorithms.md 7.4). Departure: the paper compares whole networks and no classes.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from models.architectures import PixelClassifier
from models.distillation.robustkd.feature_variance import image_variance
from models.engine.monitor import Monitor, raise_if_stopped
from models.probes.bounded_batches import pixel_batches
from models.probes.unmarked import UNMARKED, not_applicable, require_finite
from models.recipes.probe_catalog import find_probe
from models.results.audit import ProbeResult

#: A median of fewer images is that of a few odd ones.
FEWEST_IMAGES = 5
FEWEST_CLASSES = 3


def feature_variance(
    classifier: PixelClassifier, images: Tensor, source: str, *, monitor: Monitor
) -> ProbeResult:
    """Compare the classes by the variance of their images' features.

    Args:
        classifier: In eval mode; its last stage is read.
        images: uint8 (N, 3, S, S).
        source: What they are, in words.
        monitor: Asked before every batch.

    Returns:
        ``statistic`` is the log of the largest class median over the middle one; ``class_scores`` are the
        medians over the middle one when every class has one, else empty.

    Raises:
        Interrupted: The monitor asked to stop.
        RecipeError: There is no stage, or too few classes have images (code ``probe_not_applicable``).
        TrainingFailed: A feature is not finite (code ``non_finite``).
    """
    started = time.monotonic()
    if not classifier.network.stage_channels:
        raise not_applicable("the network has no stages to read features from")
    variances, relative, classes, num_classes = _measure(classifier, images, monitor)
    require_finite(variances, "features")
    judged = [c for c in range(num_classes) if int((classes == c).sum()) >= FEWEST_IMAGES]
    if len(judged) < FEWEST_CLASSES:
        raise not_applicable(
            f"the {source} fill {len(judged)} of {num_classes} classes, and {FEWEST_CLASSES} are needed"
        )
    medians = torch.stack([variances[classes == c].median() for c in judged])
    ratios = medians / medians.quantile(0.5).clamp_min(1e-12)
    place = int(ratios.argmax())
    if float(ratios[place]) <= 0:
        raise not_applicable("the features of the last stage do not vary")
    return ProbeResult(
        probe="feature_variance",
        summary=(
            f"Features of {source} that are named class {judged[place]} vary {float(ratios[place]):.2f} "
            f"times as much as a middle class's ({len(judged)} of {num_classes} classes have images enough); "
            f"over all images the variance is {float(variances.median()):.3g}, and "
            f"{float(relative.median()):.2f} times the squared mean size of a feature. {UNMARKED}"
        ),
        target_label=judged[place],
        statistic=math.log(float(ratios[place])),
        conspicuous=False,
        class_scores=tuple(ratios.tolist()) if len(judged) == num_classes else (),
        blind_to=find_probe("feature_variance").blind_to,
        seconds=time.monotonic() - started,
    )


def _measure(
    classifier: PixelClassifier, images: Tensor, monitor: Monitor
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return v and v over the squared mean magnitude, float64 (N,), the classes, int64 (N,), and K."""
    variances, relative, classes, num_classes, done = [], [], [], 0, 0
    device = next(classifier.parameters()).device
    for batch in pixel_batches(images, device):
        raise_if_stopped(monitor)
        with torch.no_grad():
            outputs = classifier.network.forward_stages(classifier.normalize(batch))
        feature = outputs.stages[-1]
        variance = image_variance(feature)
        variances.append(variance)
        relative.append(variance / feature.float().abs().flatten(1).mean(dim=1).square().clamp_min(1e-12))
        classes.append(outputs.logits.argmax(dim=1))
        num_classes = outputs.logits.shape[1]
        done += len(batch)
        monitor.progress(done, len(images))
    return (
        torch.cat(variances).double().cpu(),
        torch.cat(relative).double().cpu(),
        torch.cat(classes).cpu(),
        num_classes,
    )
