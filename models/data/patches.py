"""Patches cut from a few photographs, as surrogate images (algorithms.md 2.3).

Cutting, resizing, rotating, shearing and the central crop are one affine map, so a patch is sampled from the
photograph once, bilinearly, from the level of an image pyramid whose pixels are about as large as the
patch's. Departures:

- The original resamples twice, bicubically, through JPEG files.
- Some patches are *sharp*: sampled from the full photograph, however coarsely, so that fine detail stays as
  aliasing instead of being averaged away. A teacher answers differently to thin lines and single bright
  pixels, and a student that never meets any does not learn what a small trigger does. Smooth patches of
  one street scene moved a watermark with a success of .44 (25,000 images), half sharp ones with .99
  (30,000; docs/results.md).
- The square a cut is placed in is half the photograph's shorter side, as in the original, but no less than
  960 pixels where the photograph has them: that is the original's square in its own photograph.

Strokes are coarsened to a few cells anyway: they know no sharp patches and keep the half square.

Source: Asano and Saeed, The Augmented Image Prior, ICLR 2023 (one-image distillation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from models.data.jitter import jitter_colors
from models.data.strokes import draw_strokes
from models.errors import DataRejected
from models.recipes.ood import PatchStyle

#: Side of the canvas the affine map turns, relative to the patch: its center survives a turn of 45 degrees.
_CANVAS = math.sqrt(2.0)
_SMALLEST_AREA = 1 / 500
#: Photographs of 64 pixels would otherwise be cut into single pixels; no effect above a side of 358.
_SMALLEST_CUT_PIXELS = 8.0
#: Half the shorter side of the photograph that the original ships.
_SQUARE_PIXELS = 960.0
_LARGEST_ANGLE = math.radians(30.0)
_CHUNK = 500


def make_patches(
    photographs: list[Tensor],
    *,
    count: int,
    size: int,
    seed: int,
    style: PatchStyle = "photo",
    sharp_share: float = 0.0,
) -> Tensor:
    """Cut patches.

    Args:
        photographs: uint8 (3, H, W) each, of any size; patches are spread evenly over them.
        count: How many patches, N.
        size: Side of a patch in pixels.
        seed: Of every random choice.
        style: ``photo`` jitters the colors; ``strokes`` draws bright lines on black, for digits.
        sharp_share: Share of ``photo`` patches in [0, 1] that are not smoothed before they are shrunk.

    Returns:
        uint8 (N, 3, size, size), in random order.

    Raises:
        DataRejected: If there is no photograph, or one is smaller than 16 pixels (code
            ``photograph_too_small``).
    """
    _check(photographs)
    generator = torch.Generator().manual_seed(seed)
    cuts = _draw_cuts(photographs, count, size, _SQUARE_PIXELS if style == "photo" else 0.0, generator)
    if style == "photo":
        cuts.level[torch.rand(count, generator=generator) < sharp_share] = 0
    patches = torch.empty(count, 3, size, size, dtype=torch.uint8)
    for index, photograph in enumerate(photographs):
        pyramid = _pyramid(photograph)
        level = cuts.level.clamp(max=len(pyramid) - 1)
        for depth, picture in enumerate(pyramid):
            chosen = torch.nonzero((cuts.photograph == index) & (level == depth)).flatten()
            for start in range(0, len(chosen), _CHUNK):
                part = chosen[start : start + _CHUNK]
                pixels = _sample(picture, photograph.shape[-2:], cuts, part, size, fill=style == "photo")
                finish = jitter_colors if style == "photo" else draw_strokes
                patches[part] = (finish(pixels, generator) * 255.0).round().to(torch.uint8)
    return patches


@dataclass(frozen=True)
class _Cuts:
    """Geometry of N patches; lengths in pixels of the photograph."""

    photograph: Tensor
    center: Tensor
    """(N, 2) as x, y."""
    linear: Tensor
    """(N, 2, 2): from offsets in the patch to offsets on the canvas, both in pixels of the patch."""
    step: Tensor
    """(N, 2): pixels of the photograph per pixel of the canvas, along x and y."""
    level: Tensor
    """Of the pyramid; 0 is the photograph itself."""


def _check(photographs: list[Tensor]) -> None:
    if not photographs or any(min(photograph.shape[-2:]) < 16 for photograph in photographs):
        raise DataRejected(
            "Patches need at least one photograph, of at least 16x16 pixels.",
            code="photograph_too_small",
            hint="Give one photograph with much detail, such as a street scene of 1000 pixels or more.",
        )


def _draw_cuts(
    photographs: list[Tensor], count: int, size: int, square_pixels: float, generator: torch.Generator
) -> _Cuts:
    sizes = torch.tensor([[p.shape[-1], p.shape[-2]] for p in photographs], dtype=torch.float32)
    photograph = torch.arange(count)[torch.randperm(count, generator=generator)] % len(photographs)
    extent = sizes[photograph]
    shorter = extent.amin(dim=1)
    square = (0.5 * shorter).floor().clamp(min=max(square_pixels, _SMALLEST_CUT_PIXELS)).minimum(shorter)
    corner = torch.rand(count, 2, generator=generator) * (extent - square[:, None])
    cut = _draw_boxes(square, generator)
    center = corner + torch.rand(count, 2, generator=generator) * (square[:, None] - cut) + cut / 2
    step = cut / math.floor(_CANVAS * size)
    turn, shear = ((2 * torch.rand(2, count, generator=generator) - 1) * _LARGEST_ANGLE).unbind()
    rotation = torch.stack([turn.cos(), -turn.sin(), turn.sin(), turn.cos()], dim=1).view(-1, 2, 2)
    shearing = torch.eye(2).repeat(count, 1, 1)
    shearing[:, 0, 1] = shear.tan()
    level = step.amin(dim=1).clamp(min=1.0).log2().round().long()
    return _Cuts(photograph, center, shearing @ rotation, step, level)


def _draw_boxes(square: Tensor, generator: torch.Generator) -> Tensor:
    """Draw (N, 2) widths and heights: area uniform, aspect ratio log-uniform, again until both fit."""
    boxes = torch.zeros(len(square), 2)
    lowest = torch.maximum(torch.tensor(_SMALLEST_AREA), (_SMALLEST_CUT_PIXELS / square).square())
    pending = torch.arange(len(square))
    while len(pending):
        share = lowest[pending] + (1 - lowest[pending]) * torch.rand(len(pending), generator=generator)
        log_aspect = (2 * torch.rand(len(pending), generator=generator) - 1) * math.log(4 / 3)
        side = share.sqrt() * square[pending]
        # A square that is itself the smallest cut admits the aspect ratio 1 only.
        log_aspect = torch.where(lowest[pending] >= 1, torch.zeros(()), log_aspect)
        boxes[pending] = side[:, None] * torch.stack([log_aspect / 2, -log_aspect / 2], dim=1).exp()
        pending = pending[boxes[pending].amax(dim=1) > square[pending]]
    return boxes


def _pyramid(photograph: Tensor) -> list[Tensor]:
    """Return (1, 3, H, W) pixels in [0, 1], then halves of it down to a side of 16."""
    levels = [photograph[None].float() / 255.0]
    while min(levels[-1].shape[-2:]) >= 32:
        levels.append(avg_pool2d(levels[-1], 2))
    return levels


def _sample(
    picture: Tensor, full_size: torch.Size, cuts: _Cuts, part: Tensor, size: int, *, fill: bool
) -> Tensor:
    """Sample (n, 3, size, size); with ``fill``, what lies outside of the canvas is black."""
    axis = torch.arange(size) - (size - 1) / 2
    offsets = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).view(1, -1, 2)
    canvas = offsets @ cuts.linear[part].transpose(1, 2)
    places = cuts.center[part][:, None] + canvas * cuts.step[part][:, None]
    extent = torch.tensor([full_size[1], full_size[0]], dtype=torch.float32)
    # One tall grid instead of a batch: the photograph is shared, not expanded.
    grid = (2 * places / extent - 1).view(1, -1, size, 2)
    sampled = grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)
    patches = sampled[0].view(3, len(part), size, size).transpose(0, 1)
    if fill:
        inside = (canvas.abs() <= _CANVAS * size / 2).all(dim=2)
        patches = patches * inside.view(-1, 1, size, size)
    return patches.clamp(0.0, 1.0)
