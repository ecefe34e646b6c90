"""Does one row of the last layer stand out? Read from the weights alone, in milliseconds.

A class that a trigger must reach from everywhere needs a row that many features speak for. Fields et al.
("Trojan Signatures in DNN Weights", ICCV Workshops 2021) found the target's row to have an unusually large
mean weight, and tested it with Dixon's Q. We add the row's norm and the class's bias, and compare each with
the other classes by the median and the median absolute deviation, which also serve hundreds of classes. A
vector that all rows share changes no prediction, so it is taken off before norms are measured.

Beside it, random features are classified: halves of normal noise, nonnegative as features behind a ReLU are.
Biases stay out of that, since nobody knows how large the features are that they compete with.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from models.architectures import PixelClassifier
from models.architectures.last_layer import last_layer
from models.probes.class_deviation import FEWEST_CLASSES, class_deviations
from models.probes.unmarked import UNMARKED, not_applicable, require_finite
from models.recipes.probe_catalog import find_probe
from models.results.audit import ProbeResult

LATENTS = 4_096


def head_statistics(
    classifier: PixelClassifier, num_classes: int, *, generator: torch.Generator
) -> ProbeResult:
    """Compare the rows of the last layer.

    Args:
        classifier: The suspect.
        num_classes: K.
        generator: Of the random features; its device is where they are classified.

    Returns:
        ``class_scores`` are, per class, the largest of its robust deviations in mean weight, norm and bias;
        ``statistic`` is the largest of them all.

    Raises:
        RecipeError: There is no such layer, or fewer than four classes (code ``probe_not_applicable``).
        TrainingFailed: A weight is not finite (code ``non_finite``).
    """
    started = time.monotonic()
    if num_classes < FEWEST_CLASSES:
        raise not_applicable(f"{num_classes} classes are too few to compare with each other")
    weight, bias = _last_layer(classifier, num_classes)
    require_finite(weight, "weights")
    centered = weight - weight.mean(dim=0)
    properties = {"mean weight": weight.mean(dim=1), "norm": centered.norm(dim=1)}
    if bias is not None:
        require_finite(bias, "biases")
        properties["bias"] = bias
    deviations = torch.stack([class_deviations(values) for values in properties.values()])
    scores = deviations.amax(dim=0).cpu()
    target = int(scores.argmax())
    name = list(properties)[int(deviations[:, target].argmax())]
    shares = _latent_shares(weight, generator)
    favorite = int(shares.argmax())
    return ProbeResult(
        probe="head_statistics",
        summary=(
            f"In the last layer, the {name} of class {target} lies furthest above the other classes: "
            f"{float(scores[target]):.1f} robust deviations. Of random features, "
            f"{float(shares[favorite]):.0%} are named class {favorite} "
            f"(an even share is {1 / num_classes:.0%}). {UNMARKED}"
        ),
        target_label=target,
        statistic=float(scores[target]),
        conspicuous=False,
        class_scores=tuple(scores.tolist()),
        blind_to=find_probe("head_statistics").blind_to,
        seconds=time.monotonic() - started,
    )


def _last_layer(classifier: PixelClassifier, num_classes: int) -> tuple[Tensor, Tensor | None]:
    """Return weight (K, D) and bias (K,) of the layer that gives the logits; a 1x1 convolution is linear."""
    last = last_layer(classifier.network)
    if isinstance(last, nn.Linear | nn.Conv2d):
        weight = last.weight.detach().flatten(1).float()
        if weight.shape[0] == num_classes and weight.shape[1] > 1:
            return weight, None if last.bias is None else last.bias.detach().float()
    raise not_applicable("the network does not end in a linear layer with one row a class")


def _latent_shares(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Return the share of random nonnegative features that each class gets, (K,)."""
    latents = torch.randn(LATENTS, weight.shape[1], generator=generator, device=generator.device).abs()
    named = (latents @ weight.to(generator.device).T).argmax(dim=1)
    return torch.bincount(named, minlength=weight.shape[0]).double().cpu() / LATENTS
