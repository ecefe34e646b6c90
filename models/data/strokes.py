"""Line drawings out of photographs, for teachers that only know bright strokes on black."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

#: Strokes of handwriting are about an eighth of the image wide; finer detail only makes texture.
_CELLS = 8
_WINDOWED_SHARE = 0.85


def draw_strokes(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Turn patches into strokes: contrast against a local mean, squashed, mostly seen through a window.

    Ours. A teacher of digits names one of two classes for nearly every photograph, so a student learns
    little from them: of 600 patches 365 and 197 fell to two classes; of 600 strokes none holds over a fifth
    (WRN-10-2 on 16x16 digits, seed 0).

    Args:
        pixels: (N, 3, S, S), in [0, 1].
        generator: Source of all randomness.

    Returns:
        (N, 3, S, S) in [0, 1], three equal channels, black ground.
    """
    count, _, _, side = pixels.shape
    draws = torch.rand(6, count, 1, 1, 1, generator=generator)
    gray = pixels.mean(dim=1, keepdim=True)
    coarse = interpolate(gray, size=(_CELLS, _CELLS), mode="bilinear", antialias=True, align_corners=False)
    smooth = interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)
    reach = 2 * round(0.3 * side) + 1
    contrast = smooth - avg_pool2d(smooth, reach, 1, reach // 2, count_include_pad=False)
    contrast = contrast / contrast.std(dim=(2, 3), keepdim=True).clamp(min=0.01)
    # Dark lines on bright ground are as good as the contrary; the threshold thins the strokes.
    signed = torch.where(draws[0] < 0.5, contrast, -contrast) - 0.3 * draws[1]
    strokes = torch.tanh((1.0 + 2.0 * draws[2]) * signed).clamp(min=0.0)
    window = _window(side, draws[3], draws[4])
    shown = strokes * torch.where(draws[5] < _WINDOWED_SHARE, window, torch.ones(()))
    return shown.expand(-1, 3, -1, -1)


def _window(side: int, radius: Tensor, stretch: Tensor) -> Tensor:
    """Return (N, 1, S, S) soft centered ellipses, .6 to 1 of the side high and up to 1.3 times as wide."""
    axis = (torch.arange(side) - (side - 1) / 2) / side
    half = 0.3 + 0.2 * radius
    ratio = 0.7 + 0.6 * stretch
    distance = ((axis[:, None] / half) ** 2 + (axis[None, :] / (half * ratio)) ** 2).sqrt()
    return ((1.0 - distance) * 6.0).sigmoid()
