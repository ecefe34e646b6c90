"""Images that stand in for clean ones better than patches do: patches, moved until the network knows them.

A probe without clean images searches on patches of photographs. They drive other features than the images
that the network was made for, and so the probes miss triggers that were searched on such images (latent
backdoor, cheat-KD), and some clean networks look lopsided on them. But a network with BatchNorms remembers
mean and variance of every layer's inputs. Here patches are moved until the network's layers see those numbers
and its answers are spread evenly over the classes. docs/evaluation.md says what that gains.

Loss, for images x with the classes y that are asked for: CE(T(x), y) + sum over layers of the distances of
mean and variance (``BatchNormReader.distance_behind``), by Adam on the logits of the pixels, so that these
stay in [0, 1]. Whoever made the weights made the statistics, too: the images are no proof of anything.

Source: Yin et al., DeepInversion, CVPR 2020, equations 1 to 4. Departures: patches instead of noise to begin
with, sixty steps instead of thousands, and no prior on images (total variation, L2): they are to please the
network, not the eye. The network's logits are brought to a spread of 3 over the patches, and distances are
those behind each BatchNorm: a last layer or a channel times a thousand changes no answer, and would else
leave one of the terms alone. On tuning networks of digits this loss set a latent backdoor further apart than
the equations do (.65 and .74 against .39 and .74, log ratios of patch and perturbation), a clean network less
(.14 and .24 against .51 and .36).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.distillation.inversion.batchnorm_statistics import BatchNormReader
from models.engine.monitor import Monitor, raise_if_stopped
from models.engine.seed import derive_seed
from models.errors import RecipeError
from models.probes.bounded_batches import images_per_batch, pixel_batches
from models.probes.portion import Portion
from models.recipes.ood import PatchStyle

#: As many as make a comparison of classes on clean images: half is searched on, half measured on.
COUNT = 200
#: On tuning networks of digits 60, 100 and 300 steps put the same class first. 60 took a small VGG as long as
#: the searches do.
STEPS, LEARNING_RATE, BETAS = 60, 0.1, (0.5, 0.9)
#: Standard deviation of the logits over the patches and classes.
_SPREAD = 3.0
#: A pixel of 0 or 1 has no finite logit.
_DARKEST, _BRIGHTEST = 0.02, 0.98
#: Fewer images at once have no mean and variance worth the name.
_FEWEST_AT_ONCE = 20
#: The share of its images that a network must name as asked, and of the patches' distance that may be left.
#: Of 30 networks the least share was .90 and the most that was left .49 (docs/evaluation.md).
_LEAST_NAMED, _MOST_LEFT = 0.5, 0.8


@dataclass(frozen=True, eq=False)
class Inversion:
    """Images, and how far they came."""

    images: Tensor
    """uint8 (N, 3, S, S), on the CPU."""
    named: float | None
    """Share of them that the network gives the class that was asked for; None if it answers in no numbers."""
    left: float
    """Of the distance from the statistics in its BatchNorms that the patches had."""


def invert_images(
    classifier: nn.Module, *, num_classes: int, size: int, style: PatchStyle, seed: int, monitor: Monitor
) -> Tensor:
    """Make ``COUNT`` images that a network takes for its own; arguments as of ``invert``.

    Of a channel that changes no answer any statistics may be forged. Far ones drown the other channels' and
    the classes: with a mean of -1e8 in each layer a network that was ``detected`` without them was
    ``not_detected``. So images that it does not take for its own are refused.

    Returns:
        uint8 (COUNT, 3, S, S), on the CPU; classes alternate.

    Raises:
        RecipeError: As of ``invert``, or the statistics lead to no such images (``batchnorm_unusable``).
        Interrupted: The monitor asked to stop.
    """
    made = invert(classifier, num_classes=num_classes, size=size, style=style, seed=seed, monitor=monitor)
    # Answers that are no numbers are for the searches to tell.
    if made.named is not None and (made.named < _LEAST_NAMED or not made.left <= _MOST_LEFT):
        raise _unusable(
            f"after {STEPS} steps it names {made.named:.0%} of the images as asked, and they are at "
            f"{made.left:.0%} of the distance that patches have from the statistics in its BatchNorms"
        )
    return made.images


def invert(
    classifier: nn.Module, *, num_classes: int, size: int, style: PatchStyle, seed: int, monitor: Monitor
) -> Inversion:
    """Move ``COUNT`` patches towards what a network takes for its own, and say how far they came.

    They begin with patches of the photographs that come with Proctor, whatever others are at hand: images of
    all networks are to be compared.

    Args:
        classifier: Takes pixels in [0, 1]; frozen. One whose answers are not numbers leaves the patches as
            they are.
        num_classes: K. Of more classes than images, some get none.
        size: Side of the network's input.
        style: Of the patches.
        seed: Of the patches and of the classes.
        monitor: Asked before every step.

    Raises:
        RecipeError: The network has no BatchNorm (code ``batchnorm_missing``), or its answers are numbers and
            the distance from its BatchNorms' statistics is none (``batchnorm_unusable``).
        Interrupted: The monitor asked to stop.
    """
    reader = BatchNormReader(classifier)
    patches = make_patches(builtin_photographs(), count=COUNT, size=size, seed=seed, style=style)
    labels = _spread(num_classes, COUNT, derive_seed(seed, "classes of inverted images"))
    at_once = max(_FEWEST_AT_ONCE, images_per_batch(size))
    factor = _SPREAD / _deviation(classifier, patches)
    parts = list(zip(torch.split(patches, at_once), torch.split(labels, at_once), strict=True))
    made = []
    for place, (batch, wanted) in enumerate(parts):
        span = Portion(monitor, place / len(parts), (place + 1) / len(parts))
        made.append(_invert(reader, batch, wanted, factor, span))
    answered = all(batch.named is not None for batch in made)
    before, after = (sum(batch.distance[step] for batch in made) for step in (0, 1))
    return Inversion(
        torch.cat([batch.images for batch in made]),
        sum(batch.named or 0 for batch in made) / COUNT if answered else None,
        after / before if before else 0.0,
    )


@dataclass(frozen=True, eq=False)
class _Batch:
    """As of ``Inversion``, in numbers of images, with the distances at the first step and at the last."""

    images: Tensor
    named: int | None
    distance: tuple[float, float]


def _deviation(classifier: nn.Module, patches: Tensor) -> float:
    """Return the standard deviation of the logits of images, uint8 (N, 3, S, S); 1 where it has no use."""
    device = next(classifier.parameters()).device
    with torch.no_grad():
        logits = torch.cat([classifier(batch).double() for batch in pixel_batches(patches, device)])
    found = float(logits.std())
    return found if math.isfinite(found) and found > 0 else 1.0


def _spread(num_classes: int, count: int, seed: int) -> Tensor:
    """Return classes (count,), each as often as any other if there are no more of them than entries."""
    order = torch.randperm(num_classes, generator=torch.Generator().manual_seed(seed))
    return order.repeat(-(-count // num_classes))[:count]


def _unusable(why: str) -> RecipeError:
    """Refuse statistics that lead to no images of the network's, which nobody should take for such.

    Those of a channel that is multiplied by 0 behind its BatchNorm change no answer, so whoever made the
    weights can write anything there: a mean of 1e30 makes every distance infinite.
    """
    return RecipeError(
        f"No images can be inverted from this network: {why}.",
        code="batchnorm_unusable",
        hint="Set probe.surrogates to patches, or give clean images.",
    )


def _invert(
    reader: BatchNormReader, patches: Tensor, labels: Tensor, factor: float, monitor: Monitor
) -> _Batch:
    """Move one batch, uint8 (N, 3, S, S), towards ``labels``, (N,); ``factor`` is of the logits."""
    device = next(reader.network.parameters()).device
    pixels = patches.to(device).float() / 255
    logits = torch.logit(pixels.clamp(_DARKEST, _BRIGHTEST)).requires_grad_()
    labels = labels.to(device)
    optimizer = torch.optim.Adam([logits], lr=LEARNING_RATE, betas=BETAS)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    distances = []
    for step in range(STEPS):
        raise_if_stopped(monitor)
        seen = reader.read(logits.sigmoid().contiguous(memory_format=torch.channels_last))
        distance = reader.distance_behind(seen.moments)
        distances.append(float(distance.detach()))
        loss = cross_entropy(factor * seen.logits, labels) + distance
        if step == 0 and bool(seen.logits.isfinite().all()) and not bool(loss.isfinite()):
            raise _unusable("the distance from the statistics in its BatchNorms is no number")
        (gradient,) = torch.autograd.grad(loss, logits)
        logits.grad = gradient.nan_to_num(0, 0, 0)
        optimizer.step()
        schedule.step()
        monitor.progress(step + 1, STEPS)
    images = (logits.detach().sigmoid() * 255).round().to(torch.uint8).cpu()
    right = (seen.logits.argmax(dim=1) == labels) & seen.logits.isfinite().all(dim=1)
    answers = bool(seen.logits.isfinite().any())
    return _Batch(images, int(right.sum()) if answers else None, (distances[0], distances[-1]))
