"""Augmentation of whole batches: random crop, mirror, cutout, CutMix, mixup.

Each function takes (N, C, H, W) tensors of bytes or floats, returns a new tensor of the same type, and draws
from the generator it is given and from nothing else.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

Padding = Literal["zero", "reflect"]


def random_crop(
    images: Tensor, *, padding: int, generator: torch.Generator, mode: Padding = "zero"
) -> Tensor:
    """Shift each image by up to ``padding`` pixels in each direction.

    Args:
        images: (N, C, H, W).
        padding: Largest shift in pixels.
        generator: On the images' device.
        mode: What comes in from outside: zeros of the tensor's own space, or the mirrored image.
    """
    if padding == 0:
        return images.clone()
    count, _, height, width = images.shape
    padded = _padded(images, padding, mode)
    corners = torch.randint(
        0, 2 * padding + 1, (2, count, 1), generator=generator, device=generator.device
    ).to(images.device)
    rows = corners[0] + torch.arange(height, device=images.device)
    columns = corners[1] + torch.arange(width, device=images.device)
    each = torch.arange(count, device=images.device)[:, None, None]
    # Indexing around the channel axis moves it last: (N, H, W, C).
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def random_flip(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Mirror half of the images left to right."""
    chosen = torch.rand(len(images), generator=generator, device=generator.device) < 0.5
    return torch.where(chosen.to(images.device)[:, None, None, None], images.flip(-1), images)


def cutout(images: Tensor, *, side: int, generator: torch.Generator) -> Tensor:
    """Blacken one square per image.

    Args:
        images: (N, C, H, W).
        side: Of the square, in pixels. Its center is uniform over the image; what sticks out is cut off.
        generator: On any device.

    Source: DeVries and Taylor, arXiv 1708.04552.
    """
    height, width = images.shape[-2:]
    corners = torch.rand(2, len(images), 1, generator=generator, device=generator.device).to(images.device)
    top, left = (corners[0] * height).long() - side // 2, (corners[1] * width).long() - side // 2
    rows, columns = (torch.arange(length, device=images.device) for length in (height, width))
    in_rows, in_columns = (rows >= top) & (rows < top + side), (columns >= left) & (columns < left + side)
    hidden = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    return torch.where(hidden, torch.zeros_like(images), images)


def cutmix(images: Tensor, *, generator: torch.Generator, concentration: float = 0.25) -> Tensor:
    """Paste one box, the same for the whole batch, from a shuffled copy of the batch.

    Labels are not mixed: in one-image distillation the teacher labels the mixture (algorithms.md 2.3). The
    box has a side ratio of ``sqrt(1 - lambda)`` with ``lambda ~ Beta(a, a)``, a uniform center, and is
    clipped at the border.

    Args:
        images: (N, C, H, W).
        generator: On any device.
        concentration: The ``a`` of the Beta distribution; at .25 most boxes are nearly empty or nearly full.

    Source: Yun et al., ICCV 2019; parameters of Asano and Saeed, ICLR 2023.
    """
    height, width = images.shape[-2:]
    order = torch.randperm(len(images), generator=generator, device=generator.device).to(images.device)
    ratio = math.sqrt(1.0 - _beta(concentration, generator))
    center = torch.rand(2, generator=generator, device=generator.device).tolist()
    top, bottom = _span(center[0], ratio, height)
    left, right = _span(center[1], ratio, width)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images[order, :, top:bottom, left:right]
    return mixed


def mixup(
    images: Tensor, *, generator: torch.Generator, concentration: float
) -> tuple[Tensor, Tensor, float]:
    """Blend a batch with a shuffled copy of itself, by one share for the whole batch.

    Args:
        images: (N, C, H, W), floating point.
        generator: On any device.
        concentration: The ``a`` of ``share ~ Beta(a, a)``, at most 1.

    Returns:
        The images; the order of the copy, int64 (N,), by which its labels are found; the share of each image
        that is its own.

    Source: Zhang et al., ICLR 2018.
    """
    order = torch.randperm(len(images), generator=generator, device=generator.device).to(images.device)
    share = _beta(concentration, generator)
    return share * images + (1 - share) * images[order], order, share


def _padded(images: Tensor, padding: int, mode: Padding) -> Tensor:
    if mode == "zero":
        return pad(images, (padding,) * 4)
    # Reflection is not implemented for bytes; float32 holds every byte exactly.
    return pad(images.float(), (padding,) * 4, mode="reflect").to(images.dtype)


def _beta(concentration: float, generator: torch.Generator) -> float:
    """Draw from Beta(a, a), a <= 1, after Johnk (1964): torch's own sampler takes no generator."""
    while True:
        x, y = (
            torch.rand(2, generator=generator, device=generator.device)
            .double()
            .pow(1 / concentration)
            .tolist()
        )
        if 0.0 < x + y <= 1.0:
            return float(x / (x + y))


def _span(center: float, ratio: float, length: int) -> tuple[int, int]:
    middle, half = int(center * length), int(ratio * length) // 2
    return max(0, middle - half), min(length, middle + half)
