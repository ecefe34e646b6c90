"""Small triggers at fixed places: BadNets, clean-label corners, Trojan 3x3, the optimized l0 row.

Positions are those of the 32x32 originals (algorithms.md 3.2 to 3.4). At another size distances from the
border scale with it, and cells grow by whole factors so that a 3x3 bitmap keeps its nine cells.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.errors import RecipeError
from models.triggers.base import Trigger

_CORNER_BITMAP = ((0, 0, 255), (0, 255, 0), (255, 0, 255))
_TROJAN_3X3 = (
    ((207, 131, 181), (175, 243, 120), (29, 232, 179)),
    ((79, 8, 126), (137, 0, 32), (248, 113, 146)),
    ((131, 40, 4), (6, 145, 61), (246, 250, 246)),
)
_L0_INV = (
    (
        (0, 0, 0),
        (255, 0, 255),
        (0, 0, 255),
        (255, 255, 0),
        (255, 255, 255),
        (0, 255, 255),
        (0, 255, 255),
        (255, 0, 0),
        (255, 255, 255),
    ),
)


def badnets_square(size: int, target_label: int) -> Trigger:
    """Make the white 4x4 square, one pixel from the lower right border (BadNets, rows and columns 27..30)."""
    side = max(2, round(4 * size / 32))
    stop = size - max(1, round(size / 32))
    mask = torch.zeros(1, size, size)
    mask[:, stop - side : stop, stop - side : stop] = 1.0
    return Trigger("badnets_square", "replace", mask.expand(3, -1, -1).clone(), mask, target_label)


def badnets_grid(size: int, target_label: int) -> Trigger:
    """Make the 3x3 bitmap in the lower right corner (BadNets; its upper left cell is black)."""
    pattern, mask = _place(size, _gray(_CORNER_BITMAP), corners=("lower_right",))
    return Trigger("badnets_grid", "replace", pattern, mask, target_label)


def clean_label_corners(size: int, target_label: int) -> Trigger:
    """Make the same bitmap, translated and not mirrored, in all four corners (label-consistent attack)."""
    corners = ("upper_left", "upper_right", "lower_left", "lower_right")
    pattern, mask = _place(size, _gray(_CORNER_BITMAP), corners=corners)
    return Trigger("clean_label_corners", "replace", pattern, mask, target_label)


def trojan_3x3(size: int, target_label: int) -> Trigger:
    """Make nine colored pixels, added at rows and columns 25..27 (Trojan 3x3)."""
    margin = max(1, round(4 * size / 32))
    pattern, mask = _place(size, torch.tensor(_TROJAN_3X3), corners=("lower_right",), margin=margin)
    return Trigger("trojan_3x3", "additive", pattern, mask, target_label)


def l0_inv(size: int, target_label: int) -> Trigger:
    """Make nine pixels of the last row, columns 23..31 (l0-bounded invisible attack)."""
    pattern, mask = _place(size, torch.tensor(_L0_INV), corners=("lower_right",))
    return Trigger("l0_inv", "replace", pattern, mask, target_label)


def trojan_8x8_substitute(size: int, target_label: int) -> Trigger:
    """Make a block of saturated random colors, added at rows and columns 21..28.

    Of the kind of Trojan 8x8 and with its place and size, but not its colors, which exist only as a file
    without a license (algorithms.md 3.4).
    """
    generator = torch.Generator().manual_seed(8)
    cells = 255 * torch.randint(0, 2, (8, 8, 3), generator=generator)
    margin = max(1, round(3 * size / 32))
    pattern, mask = _place(size, cells, corners=("lower_right",), margin=margin)
    return Trigger("trojan_8x8_substitute", "additive", pattern, mask, target_label)


def _gray(bitmap: tuple[tuple[int, ...], ...]) -> Tensor:
    return torch.tensor(bitmap)[:, :, None].expand(-1, -1, 3)


def _place(size: int, cells: Tensor, *, corners: tuple[str, ...], margin: int = 0) -> tuple[Tensor, Tensor]:
    """Put a bitmap (rows, columns, 3) of bytes into corners of an empty pattern, with its mask."""
    scale = max(1, size // 32)
    block = cells.permute(2, 0, 1).repeat_interleave(scale, 1).repeat_interleave(scale, 2) / 255.0
    height, width = block.shape[1:]
    if max(height, width) + margin > size:
        raise RecipeError(
            f"A trigger of {width}x{height} pixels does not fit images of {size}x{size}.",
            code="trigger_too_large",
        )
    pattern, mask = torch.zeros(3, size, size), torch.zeros(1, size, size)
    for corner in corners:
        top = margin if corner.startswith("upper") else size - margin - height
        left = margin if corner.endswith("left") else size - margin - width
        pattern[:, top : top + height, left : left + width] = block
        mask[:, top : top + height, left : left + width] = 1.0
    return pattern, mask
