"""Square windows of images as single numbers, so that equal ones can be counted. NumPy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.data.decode import Pixels

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_WORD = 2**64
#: Odd numbers without structure (splitmix64's and PCG's).
_MIX, _ACROSS, _DOWN = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0xD6E8FEB86659FD93


def hash_pixels(images: Pixels, *, step: int) -> Hashes:
    """Hash every pixel's color.

    Args:
        images: uint8 (N, 3, H, W).
        step: Colors are rounded to multiples of it, so that 0 and 255 stay where JPEG moves them a little.

    Returns:
        (N, H, W).
    """
    rounded = ((images.astype(np.uint16) + step // 2) // step).astype(np.uint64)
    mixed: Hashes = rounded[:, 0] * np.uint64(2**32) + rounded[:, 1] * np.uint64(2**16) + rounded[:, 2]
    mixed += np.uint64(1)
    mixed *= np.uint64(_MIX)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(_ACROSS)
    mixed ^= mixed >> np.uint64(32)
    return mixed


def hash_windows(pixels: Hashes, side: int) -> Hashes:
    """Hash every window of ``side`` x ``side`` pixels.

    Args:
        pixels: (N, H, W), from ``hash_pixels``.
        side: At most H and W.

    Returns:
        (N, H - side + 1, W - side + 1), by the upper left corner.
    """
    return _hash_lines(_hash_lines(pixels, side, axis=2, base=_ACROSS), side, axis=1, base=_DOWN)


def _hash_lines(values: Hashes, length: int, *, axis: int, base: int) -> Hashes:
    count = values.shape[axis] - length + 1
    total: Hashes = np.zeros_like(_part(values, axis, 0, count))
    for index in range(length):
        total += _part(values, axis, index, count) * np.uint64(pow(base, index, _WORD))
    return total


def is_flat(pixels: Hashes, side: int) -> Mask:
    """Tell the windows of one color; arguments and shape as in ``hash_windows``."""
    rows, columns = pixels.shape[1] - side + 1, pixels.shape[2] - side + 1
    across, down = pixels[:, :, :-1] == pixels[:, :, 1:], pixels[:, :-1] == pixels[:, 1:]
    flat = np.ones((len(pixels), pixels.shape[1], columns), np.bool_)
    for index in range(side - 1):
        flat &= across[:, :, index : index + columns]
    whole: Mask = flat[:, :rows].copy()
    for index in range(1, side):
        whole &= flat[:, index : index + rows]
    for index in range(side - 1):
        whole &= down[:, index : index + rows, :columns]
    return whole


def is_bounded(pixels: Hashes, side: int) -> Mask:
    """Tell the windows whose upper left color ends with them: less than half of each line beside has it.

    Beyond the edge of the image nothing has it. Arguments and shape as in ``hash_windows``.
    """
    rows, columns = pixels.shape[1] - side + 1, pixels.shape[2] - side + 1
    color = pixels[:, :rows, :columns]
    bounded = np.ones(color.shape, np.bool_)
    for axis in (1, 2):
        for beside in (-1, side):
            same = np.zeros(color.shape, np.uint8)
            inner = slice(1, None) if beside < 0 else slice(None, -1)
            at = 0 if beside < 0 else side
            for index in range(side):
                aligned = _part(pixels, 3 - axis, index, color.shape[3 - axis])
                line = _part(aligned, axis, at, color.shape[axis] - 1)
                place = (slice(None), inner, slice(None)) if axis == 1 else (slice(None), slice(None), inner)
                same[place] += line == color[place]
            bounded &= same * 2 < side
    return bounded


def hash_rows(lines: Hashes) -> Hashes:
    """Hash lines of pixel hashes, (N, L), to (N,)."""
    weights = np.array([pow(_ACROSS, index, _WORD) for index in range(lines.shape[1])], np.uint64)
    total: Hashes = (lines * weights).sum(1)
    return total


def _part(values: Hashes, axis: int, start: int, count: int) -> Hashes:
    return values[:, start : start + count] if axis == 1 else values[:, :, start : start + count]
