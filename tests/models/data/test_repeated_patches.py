"""Patches that many images share: found at low rates, and never in clean sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.data.digits import load_digits
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.data.repeated_patches import FEWEST, find_repeated_patches, looked_at
from models.data.windows import hash_pixels, hash_windows, is_bounded, is_flat

ROOT = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return make_patches(builtin_photographs(), count=800, size=32, seed=0).numpy()


def solid(side: int, value: int = 255) -> np.ndarray:
    return np.full((3, side, side), value, np.uint8)


def checkered(side: int) -> np.ndarray:
    return np.repeat((np.indices((1, side, side)).sum(0) % 2 * 255).astype(np.uint8), 3, 0)


def stamped(images: np.ndarray, patch: np.ndarray, count: int, *, moving: bool = False) -> np.ndarray:
    """Stamp ``count`` images: one pixel from the lower right corner, or anywhere."""
    made, side = images.copy(), patch.shape[-1]
    places = np.random.default_rng(1).integers(0, 32 - side + 1, (count, 2))
    for image, place in zip(made[:count], places, strict=True):
        row, column = place if moving else (31 - side, 31 - side)
        image[:, row : row + side, column : column + side] = patch
    return made


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [100, 800])
def test_clean_photographs_have_none(seed: int, count: int) -> None:
    images = make_patches(builtin_photographs(), count=count, size=32, seed=seed).numpy()
    assert find_repeated_patches(images) == ()


@pytest.mark.parametrize(("size", "seed"), [(8, 0), (16, 0), (16, 1), (28, 0)])
def test_clean_digits_have_none(size: int, seed: int) -> None:
    """Black borders, equal strokes, and grays that depend on where a stroke lies between pixels."""
    assert find_repeated_patches(load_digits(size, seed=seed).train_images.numpy()) == ()


@pytest.mark.parametrize("side", [2, 3, *(pytest.param(side, marks=pytest.mark.slow) for side in (4, 7)), 8])
@pytest.mark.parametrize("shape", [solid, checkered])
def test_a_patch_in_a_corner_is_found_with_its_place(shape, side: int, clean: np.ndarray) -> None:
    (found,) = find_repeated_patches(stamped(clean, shape(side), 24))
    assert (found.side, found.place) == (side, (31 - side, 31 - side))
    assert len(set(found.images.tolist()) & set(range(24))) >= 22


def test_a_moving_pattern_is_found(clean: np.ndarray) -> None:
    (found,) = find_repeated_patches(stamped(clean, checkered(4), 60, moving=True))
    assert found.place is None
    assert set(found.images.tolist()) <= set(range(60))


def test_a_patch_that_jpeg_changed_is_found(clean: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(-6, 7, (40, 3, 32, 32))
    made = stamped(clean, checkered(3), 40)
    made[:40] = np.clip(made[:40].astype(int) + noise, 0, 255).astype(np.uint8)
    assert [found.place for found in find_repeated_patches(made)] == [(28, 28)]


def test_one_color_everywhere_is_no_finding() -> None:
    """A white sky, a black border: the color does not end where a window does."""
    images = np.random.default_rng(0).integers(0, 256, (300, 3, 32, 32), np.uint8)
    images[:150, :, :9] = 255
    images[150:, :, :, -5:] = 0
    assert find_repeated_patches(images) == ()


def test_fewer_images_than_a_finding_needs(clean: np.ndarray) -> None:
    assert find_repeated_patches(stamped(clean, checkered(3), FEWEST - 1)) == ()


def test_faint_patterns_over_the_whole_image_are_not_seen(clean: np.ndarray) -> None:
    """As docs/formats.md says; if this fails, that page is out of date."""
    pattern = np.random.default_rng(2).integers(0, 256, (3, 32, 32))
    made = clean.copy()
    made[:80] = (0.9 * made[:80] + 0.1 * pattern).astype(np.uint8)
    assert find_repeated_patches(made) == ()


def test_large_images_are_looked_at_in_smaller_number() -> None:
    assert looked_at(10_000, 32, 32) == 4_000
    assert looked_at(10_000, 1024, 1024) == 3
    assert looked_at(7, 32, 32) == 7


def test_equal_windows_have_equal_hashes_and_others_not() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 12, 10), np.uint8)
    images[1, :, 5:8, 2:5] = images[0, :, 1:4, 6:9]
    hashes = hash_windows(hash_pixels(images, step=1), 3)
    assert hashes.shape == (2, 10, 8)
    assert np.argwhere(hashes[1] == hashes[0, 1, 6]).tolist() == [[5, 2]]
    assert len(np.unique(hashes)) == hashes.size - 1


def test_flat_and_bounded_windows() -> None:
    images = np.random.default_rng(0).integers(0, 200, (1, 3, 12, 12), np.uint8)
    images[0, :, 3:6, 4:7] = 255
    images[0, :, :, 0] = 255
    pixels = hash_pixels(images, step=1)
    assert np.argwhere(is_flat(pixels, 3)[0]).tolist() == [[3, 4]]
    assert len(np.argwhere(is_flat(pixels, 2)[0])) == 4
    assert not (is_flat(pixels, 2) & is_bounded(pixels, 2)).any()
    assert is_bounded(pixels, 3)[0, 3, 4]
    corner = np.zeros((1, 3, 8, 8), np.uint8)
    corner[:, :, :2, :2] = 255
    assert is_bounded(hash_pixels(corner, step=1), 2)[0, 0, 0]


def public_trigger(name: str) -> np.ndarray:
    path = ROOT / "triggers" / name
    if not path.exists():
        pytest.skip("the public triggers are not on this machine")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((32, 32))).transpose(2, 0, 1)


@pytest.mark.parametrize("name", ["trojan_3x3.png", "trojan_8x8.png"])
def test_public_patches_are_found(name: str, clean: np.ndarray) -> None:
    pattern = public_trigger(name)
    made = clean.copy()
    made[:16] = np.where(pattern.any(0), pattern, made[:16])
    found = find_repeated_patches(made)
    assert found
    assert set(found[0].images.tolist()) == set(range(16))
