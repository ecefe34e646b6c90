"""Arithmetic of stamping, on bytes and on pixels.

Attackers stamp bytes: float arithmetic, clip to [0, 255], cast to uint8 (algorithms.md 3.1). Doing it in
normalized space, or adding in uint8, gives another trigger: 250 + 10 wraps to 4 there.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

TriggerKind = Literal["replace", "blend", "additive", "rescaled"]

#: Least contrast that is stretched, in levels: an image of one color stays black instead of becoming NaN.
_LEAST_CONTRAST = 1e-3

#: Casting truncates. 0.8 * 255 + 0.2 * 255 is 254.99998 in float32 and must stay 255; true values lie
#: on a grid of 1/255 of a mask step at the finest, so a thousandth of a level moves no other value.
_ROUNDING_GUARD = 1e-3


def stamp_pixels(pixels: Tensor, pattern: Tensor, mask: Tensor, kind: TriggerKind) -> Tensor:
    """Stamp pixels in [0, 1], differentiably.

    Args:
        pixels: (N, 3, H, W), floating point.
        pattern: (3, H, W), in units of the pixels.
        mask: (1, H, W) or (3, H, W), in [0, 1].
        kind: ``additive`` clips ``x + p m``; ``rescaled`` adds too, but then stretches each image to the full
            range over all channels and pixels, so that far pixels change as well (algorithms.md 8, item 5);
            the other two are ``(1 - m) x + m p``.

    Returns:
        (N, 3, H, W), in [0, 1].
    """
    pattern = pattern.to(pixels)
    mask = mask.to(pixels)
    if kind == "additive":
        return (pixels + pattern * mask).clamp(0.0, 1.0)
    if kind == "rescaled":
        return _stretched(pixels + pattern * mask, _LEAST_CONTRAST / 255.0)
    return ((1.0 - mask) * pixels + mask * pattern).clamp(0.0, 1.0)


def stamp_bytes(images: Tensor, pattern: Tensor, mask: Tensor, kind: TriggerKind) -> Tensor:
    """Stamp bytes as the attacker does: in float, clipped, then cast back.

    Args:
        images: uint8 (N, 3, H, W).
        pattern: (3, H, W), in [0, 1] (or [-1, 1] if additive); taken to the nearest of 255 levels.
        mask: (1, H, W) or (3, H, W), in [0, 1].
        kind: See ``stamp_pixels``.

    Returns:
        uint8 (N, 3, H, W).
    """
    levels = (pattern.to(device=images.device, dtype=torch.float32) * 255.0).round()
    mask = mask.to(device=images.device, dtype=torch.float32)
    values = images.to(torch.float32)
    if kind in {"additive", "rescaled"}:
        values = values + levels * mask
        if kind == "rescaled":
            values = 255.0 * _stretched(values, _LEAST_CONTRAST)
    else:
        values = (1.0 - mask) * values + mask * levels
    return (values + _ROUNDING_GUARD).clamp(0.0, 255.0).to(torch.uint8)


def _stretched(values: Tensor, least: float) -> Tensor:
    """Map each image's own minimum and maximum, over channels and pixels together, to 0 and 1."""
    low = values.amin(dim=(1, 2, 3), keepdim=True)
    return (values - low) / (values.amax(dim=(1, 2, 3), keepdim=True) - low).clamp(min=least)
