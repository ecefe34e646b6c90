"""What a teacher's BatchNorms remember of its training images, and what they see of others.

The layers' *inputs* are read, by hooks that live for one forward pass: whoever reads gets the numbers of that
very pass, so neither a second view nor the passes of a defense can overwrite them, and a copy of the teacher
carries no hook (algorithms.md 8, items 24 to 26). Mean and variance are taken inside the hook, in float32,
before a layer that works in place could change its input.

A clipped teacher (``distillation.clipping``) has the intact one's running statistics. Layers in front of
the first bound see what the intact teacher's see; behind a bound, its own training images would have
smaller variances than those that images are moved towards here, the smaller the more bounds lie before. To
correct that would take training images, which nobody has; surrogate images would give their own statistics
instead. Reading the moments in the intact teacher would ask for the right thing, at another pass per step
and with a gradient that no bound keeps from a trigger's channels. So images for a clipped teacher overshoot
in the later layers.

Source: Yin et al., CVPR 2020 (DeepInversion), section 3.2; reductions after algorithms.md 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from models.errors import RecipeError


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and biased variance of one layer's input over batch and positions, (C,) each, in float32."""

    mean: Tensor
    variance: Tensor


@dataclass(frozen=True, eq=False)
class Reading:
    """One forward pass."""

    logits: Tensor
    """(N, K), float32."""
    moments: tuple[Moments, ...]
    """One per BatchNorm, in the order of the network's modules."""
    features: Tensor
    """The layers' inputs averaged over positions and joined, (N, D), float32."""


def statistics_obstacle(network: nn.Module) -> str:
    """Return why a network's statistics cannot lead an inversion, as a sentence; empty if they can."""
    if _norms(network):
        return ""
    return "Model inversion reads the statistics in a teacher's BatchNorms, and this teacher has none."


def _norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """Return the layers that keep running statistics."""
    return [
        module
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
    ]


class BatchNormReader:
    """Runs a network and tells what came into its BatchNorms."""

    def __init__(self, network: nn.Module) -> None:
        """Find the layers.

        Raises:
            RecipeError: ``batchnorm_missing`` if there is none with running statistics. Without them an
                inversion has only the classifier to go by, and images that please it look like nothing.
        """
        self.network = network
        self.norms = _norms(network)
        obstacle = statistics_obstacle(network)
        if obstacle:
            raise RecipeError(
                obstacle,
                code="batchnorm_missing",
                hint="Choose method ood or zskt, and for the audit probe.surrogates patches.",
            )

    def read(self, x: Tensor) -> Reading:
        """Run the network on what it takes, (N, 3, H, W); gradients flow into ``x``."""
        moments: dict[int, Moments] = {}
        means: dict[int, Tensor] = {}

        def look(place: int, norm: nn.BatchNorm2d, arriving: Tensor) -> None:
            means[place], moments[place] = _measure(arriving.float(), cast(Tensor, norm.running_mean))

        hooks = [
            norm.register_forward_pre_hook(
                lambda norm, arguments, place=place: look(place, norm, arguments[0])
            )
            for place, norm in enumerate(self.norms)
        ]
        try:
            logits = self.network(x).float()
        finally:
            for hook in hooks:
                hook.remove()
        # A layer that no pass goes through, as in an unused head, has nothing to tell.
        self.norms = [norm for place, norm in enumerate(self.norms) if place in moments]
        order = sorted(moments)
        features = torch.cat([means[place] for place in order], dim=1)
        return Reading(logits, tuple(moments[place] for place in order), features)

    def distance(self, moments: Sequence[Moments]) -> Tensor:
        """Sum over layers the L2 distances of variance and mean from the running ones; a scalar."""
        terms = [
            (cast(Tensor, norm.running_var) - seen.variance).norm()
            + (cast(Tensor, norm.running_mean) - seen.mean).norm()
            for norm, seen in zip(self.norms, moments, strict=True)
        ]
        return torch.stack(terms).sum()

    def distance_behind(self, moments: Sequence[Moments]) -> Tensor:
        """Sum over layers how far variance and mean are from the running ones *behind* a BatchNorm; a scalar.

        Root mean squares over channels of (variance - running) / (running + eps) and of (mean - running) /
        sqrt(running + eps): what scale and shift then work on. A channel that is multiplied before its
        BatchNorm, with its statistics, is the same network and has the same distance here, while in
        ``distance`` it could be made to outweigh all others. As norms: a root of squares has no finite
        gradient at 0, where a layer of zeros (pruned, or dead) leaves its BatchNorm.
        """
        terms = []
        for norm, seen in zip(self.norms, moments, strict=True):
            mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
            size, channels = variance + norm.eps, len(mean)
            terms.append(((seen.variance - variance) / size).norm() / math.sqrt(channels))
            terms.append(((seen.mean - mean) / size.sqrt()).norm() / math.sqrt(channels))
        return torch.stack(terms).sum()


def _measure(arriving: Tensor, center: Tensor) -> tuple[Tensor, Moments]:
    """Average an input (N, C, H, W) over positions, (N, C), and over batch and positions.

    ``torch.var_mean`` is six times slower on channels-last tensors. Squares are taken of the distance to
    ``center``, (C,), the running mean, so that little is lost when their means are subtracted.
    """
    shifted = arriving - center[:, None, None]
    means = shifted.mean(dim=(2, 3))
    mean = means.mean(dim=0)
    variance = shifted.square().mean(dim=(2, 3)).mean(dim=0) - mean.square()
    return means + center, Moments(mean + center, variance)


class MomentsAverage:
    """An exponential average of moments over batches.

    A batch need not match the teacher's statistics by itself, only together with those before it, so that
    batches may differ from each other. Source: Fang et al., AAAI 2022, feature regularization.
    """

    def __init__(self, momentum: float) -> None:
        """Begin with nothing; ``momentum`` is the share of what was before, from 0 to below 1."""
        self.momentum = momentum
        self.kept: tuple[Moments, ...] = ()

    def with_batch(self, moments: Sequence[Moments]) -> tuple[Moments, ...]:
        """Return the average as it would be with one more batch; gradients flow into that batch."""
        if not self.kept:
            return tuple(moments)
        old, new = self.momentum, 1.0 - self.momentum
        return tuple(
            Moments(old * a.mean + new * b.mean, old * a.variance + new * b.variance)
            for a, b in zip(self.kept, moments, strict=True)
        )

    def keep(self, moments: Sequence[Moments]) -> None:
        """Take a batch into the average."""
        with torch.no_grad():
            joined = self.with_batch(moments)
        self.kept = tuple(Moments(one.mean.detach(), one.variance.detach()) for one in joined)

    def state_dict(self) -> dict[str, Any]:
        """Return the averages."""
        return {"kept": [[one.mean, one.variance] for one in self.kept]}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take up a state from ``state_dict``."""
        self.kept = tuple(Moments(mean.to(device), variance.to(device)) for mean, variance in state["kept"])
