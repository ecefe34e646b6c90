"""How far a student's features are from a teacher's, before the activation.

The distance of overhaul feature distillation (Heo et al., ICCV 2019): the teacher's feature passes a ReLU
whose floor is not zero but the mean of the channel's negative half, and the student is not pulled where both
are at or below that floor. Where no ReLU follows (MobileNetV2, PyramidNets of two convolutions a unit but for
their last stage, networks with other activations), all responses of the stage are compared, for nothing
discards the negative ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: Below this share of negative responses the conditional mean is noise; -3 deviations stand in for it.
_SMALLEST_NEGATIVE_SHARE = 1e-3


def channel_margins(norm: nn.BatchNorm2d) -> Tensor:
    """Return the mean negative response of each channel behind a BatchNorm.

    A channel behind BatchNorm is taken as N(beta, gamma^2), so its mean below zero has a closed form. A
    negative gamma counts by its size; a zero one gives a constant channel, whose margin is min(beta, 0).

    Args:
        norm: The BatchNorm in front of the activation, with affine parameters.

    Returns:
        margins: (C,), all at or below zero, float32, detached.
    """
    mean = norm.bias.detach().double()
    deviation = norm.weight.detach().double().abs().clamp_min(1e-9)
    z = mean / deviation
    negative_share = 0.5 * torch.erfc(z / math.sqrt(2.0))
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2.0 * math.pi)
    conditional = mean - deviation * density / negative_share.clamp_min(1e-12)
    return torch.where(negative_share > _SMALLEST_NEGATIVE_SHARE, conditional, -3.0 * deviation).float()


def margin_relu(feature: Tensor, margins: Tensor) -> Tensor:
    """Raise every response to at least its channel's margin.

    Args:
        feature: (B, C, H, W), before the activation.
        margins: (C,).
    """
    return torch.maximum(feature, margins.to(feature).view(1, -1, 1, 1))


def partial_l2(student: Tensor, target: Tensor) -> Tensor:
    """Sum the squared differences, except where the target is not positive and the student is at or below it.

    A sum over batch and elements, not a mean: its weight grows with the resolution.

    Args:
        student: (B, C, H, W), the student's feature in the teacher's channels.
        target: (B, C, H, W), the teacher's feature behind ``margin_relu``.
    """
    counted = (student > target) | (target > 0)
    return ((student - target).square() * counted).sum()


def layer_weights(layers: int) -> tuple[float, ...]:
    """Return 1 for the last layer and half of the next one's for every layer before it."""
    return tuple(0.5 ** (layers - 1 - index) for index in range(layers))


class Connectors(nn.Module):
    """One 1x1 convolution with BatchNorm per layer, from the student's channels to the teacher's."""

    def __init__(
        self, student_channels: Sequence[int], teacher_channels: Sequence[int], generator: torch.Generator
    ) -> None:
        """Draw the weights from N(0, 2 / teacher channels).

        Args:
            student_channels: Channels of each of the student's layers.
            teacher_channels: Channels of each of the teacher's layers.
            generator: Where the weights come from.
        """
        super().__init__()
        self.layers = nn.ModuleList()
        for narrow, wide in zip(student_channels, teacher_channels, strict=True):
            convolution = nn.Conv2d(narrow, wide, kernel_size=1, bias=False)
            nn.init.normal_(convolution.weight, std=math.sqrt(2.0 / wide), generator=generator)
            self.layers.append(nn.Sequential(convolution, nn.BatchNorm2d(wide)))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Map each layer's feature (B, C_student, H, W) to (B, C_teacher, H, W)."""
        return [layer(feature) for layer, feature in zip(self.layers, features, strict=True)]


def feature_distance(
    student: Sequence[Tensor], teacher: Sequence[Tensor], margins: Sequence[Tensor | None]
) -> Tensor:
    """Return the weighted partial L2 distance over all layers, per image.

    Args:
        student: Connected student features, one (B, C, H, W) per layer.
        teacher: Teacher features before the activation, of the same shapes; detached here.
        margins: One (C,) per layer, from ``channel_margins``. None where no ReLU follows: every response
            counts there, whatever its sign.

    Returns:
        distance: a scalar, float32 whatever the features' precision: a sum over 30,000 elements is beyond
        bfloat16's eight bits of mantissa.
    """
    total = torch.zeros((), device=student[0].device)
    weights = layer_weights(len(student))
    for ours, theirs, margin, weight in zip(student, teacher, margins, weights, strict=True):
        total = total + weight * _distance(ours.float(), theirs.detach().float(), margin)
    return total / student[0].shape[0]


def _distance(student: Tensor, teacher: Tensor, margins: Tensor | None) -> Tensor:
    if margins is None:
        return (student - teacher).square().sum()
    return partial_l2(student, margin_relu(teacher, margins))
