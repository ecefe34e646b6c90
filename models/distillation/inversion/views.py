"""Two ways of looking at generated images, through which gradients flow back into them.

Both are affine and so one call of ``grid_sample`` for a whole batch. They work on pixels in [0, 1], like the
augmentation in training, and are normalized afterwards: what comes in from outside is black.

On a GPU the gradient of ``grid_sample`` is not deterministic, and torch raises where it is told to be
(``grid_sampler_2d_backward_cuda``): there the views are sampled on the CPU, one thread to an image's
gradient.

Source: Fang et al., IJCAI 2021; sizes after algorithms.md 2.2.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

_SMALLEST_AREA = 0.25
_WIDEST = 4.0 / 3.0


def shifted_view(pixels: Tensor, *, padding: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Shift each image by up to ``padding`` whole pixels in each direction, and mirror half of them.

    Args:
        pixels: (N, 3, H, W) in [0, 1].
        padding: Largest shift.
        flip: Whether to mirror.
        generator: On the CPU.
    """
    count, _, height, width = pixels.shape
    shifts = torch.randint(-padding, padding + 1, (count, 2), generator=generator)
    offsets = 2.0 * shifts / torch.tensor([width, height])
    return _sample(pixels, _mirrored(torch.ones(count, 2), flip, generator), offsets, "zeros")


def resized_view(pixels: Tensor, *, flip: bool, generator: torch.Generator) -> Tensor:
    """Cut a box of 1/4 to all of each image's area out of it, enlarge it to full size, and mirror half.

    Sides have a ratio between 3/4 and 4/3, uniform in its logarithm; a side longer than the image is cut.

    Args:
        pixels: (N, 3, H, W) in [0, 1].
        flip: Whether to mirror.
        generator: On the CPU.
    """
    draws = torch.rand(4, len(pixels), generator=generator)
    area = _SMALLEST_AREA + (1.0 - _SMALLEST_AREA) * draws[0]
    stretch = ((2.0 * draws[1] - 1.0) * math.log(_WIDEST) / 2.0).exp()
    sides = torch.stack([area.sqrt() * stretch, area.sqrt() / stretch], dim=1).clamp(max=1.0)
    offsets = (2.0 * draws[2:].T - 1.0) * (1.0 - sides)
    return _sample(pixels, _mirrored(sides, flip, generator), offsets, "border")


def _mirrored(scales: Tensor, flip: bool, generator: torch.Generator) -> Tensor:
    """Turn the sign of half of the horizontal scales."""
    if not flip:
        return scales
    chosen = torch.rand(len(scales), generator=generator) < 0.5
    return torch.stack([torch.where(chosen, -scales[:, 0], scales[:, 0]), scales[:, 1]], dim=1)


def _sample(pixels: Tensor, scales: Tensor, offsets: Tensor, outside: Literal["zeros", "border"]) -> Tensor:
    """Read each image at ``scale * place + offset``, (N, 2) as x and y, with places from -1 to 1."""
    maps = torch.zeros(len(pixels), 2, 3)
    maps[:, 0, 0], maps[:, 1, 1] = scales[:, 0], scales[:, 1]
    maps[:, :, 2] = offsets
    repeats = torch.are_deterministic_algorithms_enabled()
    device = torch.device("cpu") if repeats else pixels.device
    grid = functional.affine_grid(maps.to(device), list(pixels.shape), align_corners=False)
    views = functional.grid_sample(pixels.to(device), grid, padding_mode=outside, align_corners=False)
    return views.to(pixels.device)
