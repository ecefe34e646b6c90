"""Color jitter of a batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)
_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def jitter_colors(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Change brightness, contrast, saturation and hue of half of the images.

    Factors are uniform in [.6, 1.4], the hue turns by up to a tenth of a circle, in this order. The
    original shuffles the order and turns the hue in HSV; a rotation in YIQ is linear.

    Args:
        pixels: (N, 3, H, W), in [0, 1].
        generator: Source of all randomness.

    Returns:
        (N, 3, H, W), in [0, 1].
    """
    draws = torch.rand(5, len(pixels), 1, 1, 1, generator=generator)
    brightness, contrast, saturation = 0.6 + 0.8 * draws[:3]
    luma = torch.tensor(_LUMA).view(1, 3, 1, 1)
    changed = (pixels * brightness).clamp(0.0, 1.0)
    middle = (changed * luma).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
    changed = (middle + contrast * (changed - middle)).clamp(0.0, 1.0)
    gray = (changed * luma).sum(dim=1, keepdim=True)
    changed = (gray + saturation * (changed - gray)).clamp(0.0, 1.0)
    changed = _turn_hue(changed, (2.0 * draws[3].flatten() - 1.0) * 0.1 * 2.0 * math.pi)
    return torch.where(draws[4] < 0.5, changed, pixels)


def _turn_hue(pixels: Tensor, angle: Tensor) -> Tensor:
    """Rotate the two color axes of YIQ by ``angle`` (N,), radians."""
    to_yiq = torch.tensor(_TO_YIQ)
    rotation = torch.eye(3).repeat(len(angle), 1, 1)
    rotation[:, 1, 1] = rotation[:, 2, 2] = angle.cos()
    rotation[:, 1, 2], rotation[:, 2, 1] = -angle.sin(), angle.sin()
    matrix = torch.linalg.inv(to_yiq) @ rotation @ to_yiq
    turned: Tensor = matrix @ pixels.flatten(2)
    return turned.view_as(pixels).clamp(0.0, 1.0)
