"""The same small patch in many images: what a poisoned set of clean images would show. NumPy only.

Windows of 2 to 8 pixels a side are hashed and counted, in how many images each occurs. Equal windows alone
mean nothing: skies, borders and strokes repeat. What a natural set does not have is a window that is common
and whose *neighborhood* is not:

- At one place. The window is in many images there, and in few others anywhere else, one pixel further
  included. What nature repeats moves a little. A window of one color counts only where the color ends.
- Anywhere. The window has a pattern and is in many images, and no line of pixels beside it is common among
  those. What nature repeats goes on in a way that can be foretold.

Thresholds stand well above what clean photographs and digits have (docs/formats.md). Source: ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.data.decode import Pixels
from models.data.windows import Hashes, Mask, hash_pixels, hash_rows, hash_windows, is_bounded, is_flat

SIDES = range(2, 9)
#: Two by two pixels with a pattern are too common to be told from nature without their place.
MOVING_SIDES = range(3, 9)
#: A finding needs so many images, and so many times the images of its neighborhood plus one: at one place, of
#: exact colors also among similar ones; and anywhere.
FEWEST, FACTOR, ROUGH_FACTOR, MOVING_FACTOR = 15, 15.0, 3.0, 8.0
#: Colors are rounded to this, which undoes some of what JPEG changes.
_ROUGH_STEP = 16
#: Pixels looked at: 4,000 images of 32 x 32 at one place, half of them anywhere.
_MOST_PIXELS = 4_000 * 32 * 32
#: Windows compared with all others: 30 of 4,000 images of 32 x 32.
_MOST_COMPARED = 30 * 4_000 * 900
#: Windows whose neighborhood is looked at, for each size.
_MOST_FOLLOWED = 1_000
_MOST_FINDINGS = 5

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class FoundPatch:
    """A patch and the images that have it."""

    side: int
    """In pixels."""
    place: tuple[int, int] | None
    """Row and column of its upper left pixel; None if it moves."""
    images: Indices
    """Among those that were looked at."""
    neighborhood: int
    """Images that would have been as many in a natural set; see the module."""


def looked_at(count: int, height: int, width: int) -> int:
    """Return how many of ``count`` images are looked at."""
    return min(count, max(1, _MOST_PIXELS // (height * width)))


def find_repeated_patches(images: Pixels) -> tuple[FoundPatch, ...]:
    """Look for patches.

    Args:
        images: uint8 (N, 3, H, W), in random order; no more than ``looked_at`` says.

    Returns:
        At most five, the most frequent first; of several that the same images have, the largest.
    """
    found: list[FoundPatch] = []
    exact, rounded = hash_pixels(images, step=1), hash_pixels(images, step=_ROUGH_STEP)
    half = slice(0, (len(images) + 1) // 2)
    for side in (side for side in SIDES if side <= min(images.shape[2:]) // 2):
        fine, rough = _Windows.of(exact, side), _Windows.of(rounded, side)
        found += (patch for patch in _at_one_place(fine, side) if _stands_out_roughly(rough, patch))
        found += _at_one_place(rough, side)
        if side in MOVING_SIDES:
            found += _anywhere(exact[half], fine.hashes[half], fine.patterned[half], side)
    return _merged(found)


@dataclass(frozen=True, eq=False)
class _Windows:
    """All windows of one size, each array (N, rows, columns)."""

    hashes: Hashes
    patterned: Mask
    """More than one color."""
    counted: Mask
    """That, or the color ends with the window."""

    @classmethod
    def of(cls, pixels: Hashes, side: int) -> _Windows:
        patterned = ~is_flat(pixels, side)
        return cls(hash_windows(pixels, side), patterned, patterned | is_bounded(pixels, side))

    def compare(self, row: int, column: int, value: int) -> tuple[Mask, int]:
        """Return which images have a window at one place, and in how many others it is at another one."""
        having = (self.hashes == np.uint64(value)) & self.counted
        here: Mask = having[:, row, column]
        elsewhere = having[~here].sum(0)
        return here, int(elsewhere.max()) if len(elsewhere) else 0


def _at_one_place(windows: _Windows, side: int) -> Iterator[FoundPatch]:
    explained = np.zeros(len(windows.hashes), np.bool_)
    left = max(1, _MOST_COMPARED // windows.hashes.size)
    for _, row, column, value in sorted(_common(windows.hashes, windows.counted), reverse=True):
        # A large patch has many windows of a smaller size; one of them says it.
        if 2 * explained[windows.hashes[:, row, column] == np.uint64(value)].mean() > 1:
            continue
        here, neighborhood = windows.compare(row, column, value)
        if here.sum() >= FACTOR * (neighborhood + 1):
            explained |= here
            yield FoundPatch(side, (row, column), np.flatnonzero(here), neighborhood)
        left -= 1
        if not left:
            return


def _stands_out_roughly(windows: _Windows, patch: FoundPatch) -> bool:
    """Whether a patch of exact colors is rare elsewhere in similar colors too.

    Enlarged images have the same strokes in slightly other grays wherever they lie between pixels.
    """
    assert patch.place is not None, "it was found at one place"  # noqa: S101
    row, column = patch.place
    here, neighborhood = windows.compare(row, column, int(windows.hashes[patch.images[0], row, column]))
    return bool(here.sum() >= ROUGH_FACTOR * (neighborhood + 1))


def _common(windows: Hashes, counted: Mask) -> Iterator[tuple[int, int, int, int]]:
    """Yield (images, row, column, hash) of what enough images have at one place."""
    for row in range(windows.shape[1]):
        for column in range(windows.shape[2]):
            values, counts = np.unique(windows[counted[:, row, column], row, column], return_counts=True)
            for index in np.flatnonzero(counts >= FEWEST):
                yield int(counts[index]), row, column, int(values[index])


def _anywhere(pixels: Hashes, windows: Hashes, patterned: Mask, side: int) -> Iterator[FoundPatch]:
    image, row, column = np.nonzero(patterned)
    values = windows[patterned]
    order = np.argsort(values, kind="stable")  # stable: by image within equal ones
    values, image = values[order], image[order]
    row, column = row[order], column[order]
    first = np.ones(len(values), np.bool_)
    first[1:] = values[1:] != values[:-1]
    fresh = first.copy()
    fresh[1:] |= image[1:] != image[:-1]
    starts = np.flatnonzero(first)
    counts = np.add.reduceat(fresh.astype(np.int64), starts) if len(starts) else starts
    ends = np.append(starts[1:], len(values))
    common = np.flatnonzero(counts >= FEWEST)
    for index in common[np.argsort(-counts[common], kind="stable")][:_MOST_FOLLOWED]:
        here = np.arange(starts[index], ends[index])[fresh[starts[index] : ends[index]]]
        neighborhood = _commonest_beside(pixels, image[here], row[here], column[here], side)
        if len(here) >= MOVING_FACTOR * (neighborhood + 1):
            yield FoundPatch(side, None, np.sort(image[here]), neighborhood)


def _commonest_beside(pixels: Hashes, image: Indices, row: Indices, column: Indices, side: int) -> int:
    """Return in how many of these windows' images the commonest of all lines beside them occurs."""
    along = np.arange(side)
    most = 0
    for before in (True, False):
        for upright in (True, False):
            across = column if upright else row
            edge = pixels.shape[2 if upright else 1]
            inside = across > 0 if before else across + side < edge
            if not inside.any():
                continue
            beside = across[inside] + (-1 if before else side)
            lines = (row if upright else column)[inside, None] + along
            at = (lines, beside[:, None]) if upright else (beside[:, None], lines)
            hashed = hash_rows(pixels[image[inside, None], at[0], at[1]])
            most = max(most, int(np.unique(hashed, return_counts=True)[1].max()))
    return most


def _merged(found: list[FoundPatch]) -> tuple[FoundPatch, ...]:
    """Keep one patch of those that mostly the same images have: the largest, at one place if it can be."""
    kept: list[FoundPatch] = []
    for patch in sorted(found, key=lambda one: (one.place is None, -one.side * len(one.images))):
        overlaps = (len(np.intersect1d(patch.images, other.images)) for other in kept)
        if all(2 * shared < len(patch.images) for shared in overlaps):
            kept.append(patch)
    return tuple(sorted(kept, key=lambda one: -len(one.images))[:_MOST_FINDINGS])
