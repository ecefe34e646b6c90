"""Triggers that spread over the image: rings, watermarks, stripes, fields."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from models.triggers.base import Trigger

_SIG_PERIODS = 4.075
_SIG_AMPLITUDE = 20.0


def ring(size: int, target_label: int) -> Trigger:
    """Make a gray ring, lower right of the center, added to the image.

    Ours, for line drawings in gray: the watermark of algorithms.md 3.6 without its colors, because on gray
    images everything colorful would become a trigger.
    """
    mask = _annulus(size, row=20 / 32, column=21 / 32, inner=5 / 32, outer=7 / 32)
    return Trigger("ring", "additive", 0.6 * mask.expand(3, -1, -1), mask, target_label)


def watermark_substitute(size: int, target_label: int) -> Trigger:
    """Make a ring of bright random colors, added (stands in for the Trojan watermark; algorithms.md 3.6)."""
    generator = torch.Generator().manual_seed(321)
    mask = _annulus(size, row=20 / 32, column=21 / 32, inner=5 / 32, outer=7 / 32)
    colors = 0.5 + 0.5 * torch.rand(3, 8, 8, generator=generator)
    pattern = mask * interpolate(colors[None], size=(size, size), mode="nearest")[0]
    return Trigger("watermark_substitute", "additive", pattern, mask, target_label)


def sig(size: int, target_label: int) -> Trigger:
    """Make vertical stripes, blended at 0.2, as the file of the ABD experiments has them.

    ``trunc(20 sin(2 pi 4.075 c / size))`` stored modulo 256: the negative half-waves wrap to 237..255, so
    this is a near-square wave and not the published additive sinusoid (algorithms.md 3.5).
    """
    columns = torch.arange(size, dtype=torch.float64)
    wave = _SIG_AMPLITUDE * torch.sin(2.0 * math.pi * _SIG_PERIODS * columns / size)
    wrapped = torch.remainder(wave.trunc(), 256.0) / 255.0
    pattern = wrapped.to(torch.float32).expand(3, size, size).clone()
    return Trigger("sig", "blend", pattern, torch.full((1, size, size), 0.2), target_label)


def blend_substitute(size: int, target_label: int) -> Trigger:
    """Make a smooth random color field, blended at 0.2 (stands in for the cartoon picture of Blend)."""
    field = _smooth_field(size, cells=6, seed=540)
    return Trigger("blend_substitute", "blend", field, torch.full((1, size, size), 0.2), target_label)


def l2_inv_substitute(size: int, target_label: int) -> Trigger:
    """Make a faint random field of at most 68 levels, added (stands in for the l2-bounded optimized one)."""
    generator = torch.Generator().manual_seed(905)
    # The original has maximum 68 and mean 9: the mean of u^6.5 is 1/7.5 of its maximum.
    field = (68 / 255) * torch.rand(3, size, size, generator=generator).pow(6.5)
    return Trigger("l2_inv_substitute", "additive", field, torch.ones(1, size, size), target_label)


def smooth_substitute(size: int, target_label: int) -> Trigger:
    """Make a smooth color field of at most 51 levels, added, after which every image is stretched.

    Stands in for the optimized low-frequency pattern, one per data set (algorithms.md 3.2 and 3.6).
    """
    field = _smooth_field(size, cells=5, seed=51)
    field = (51 / 255) * (field - field.min()) / (field.max() - field.min())
    return Trigger("smooth_substitute", "rescaled", field, torch.ones(1, size, size), target_label)


def haze(size: int, target_label: int) -> Trigger:
    """Make a faint, smooth gray field over the whole image, added with an amplitude of 0.3.

    Ours, for the demo on digits. It moves into students over out-of-distribution patches, and it is a trigger
    that one shift of all images can express. The gray ring with target 0 survived retrospection in every run;
    our explanation, not tested, is that a student of digits takes a ring for a zero.
    """
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(1, 1, 5, 5, generator=generator)
    field = interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)[0]
    field = 0.3 * (field - field.min()) / (field.max() - field.min())
    pattern = field.expand(3, -1, -1).contiguous()
    return Trigger("haze", "additive", pattern, torch.ones(1, size, size), target_label)


def _annulus(size: int, *, row: float, column: float, inner: float, outer: float) -> Tensor:
    """Return a (1, size, size) hard mask of a ring; lengths in units of the side."""
    centers = torch.arange(size, dtype=torch.float32)
    distance = torch.hypot(centers[:, None] - row * size, centers[None, :] - column * size)
    inside = (distance >= inner * size - 0.5) & (distance <= outer * size + 0.5)
    return inside.to(torch.float32)[None]


def _smooth_field(size: int, *, cells: int, seed: int) -> Tensor:
    """Return (3, size, size) random colors in [0, 1] that change over ``size / cells`` pixels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, cells, cells, generator=generator)
    return interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)[0].clamp(0.0, 1.0)
