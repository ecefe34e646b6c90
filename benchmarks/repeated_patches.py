"""How often repeated patches are found, and falsely: the table of docs/formats.md.

    python -m benchmarks.repeated_patches SHARED_DATA

``SHARED_DATA`` holds ``cifar10/test.zip`` in class folders and, in ``triggers``, Trojan patterns as pictures.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from models.data.archive import inspect_dataset
from models.data.dataset import load_images
from models.data.digits import load_digits
from models.data.repeated_patches import find_repeated_patches, looked_at

IMAGES = 4_000
RATES = (0.005, 0.01, 0.02, 0.05, 0.1)
Stamp = Callable[[np.ndarray, np.random.Generator], None]


def white(side: int) -> np.ndarray:
    return np.full((3, side, side), 255, np.uint8)


def checkered(side: int) -> np.ndarray:
    return np.repeat((np.indices((1, side, side)).sum(0) % 2 * 255).astype(np.uint8), 3, 0)


def placed(patch: np.ndarray, *, moving: bool = False) -> Stamp:
    """Stamp one pixel from the lower right corner, or at random."""

    def stamp(image: np.ndarray, generator: np.random.Generator) -> None:
        side = patch.shape[-1]
        row, column = generator.integers(0, 33 - side, 2) if moving else (31 - side, 31 - side)
        image[:, row : row + side, column : column + side] = patch

    return stamp


def replaced(path: Path) -> Stamp:
    """Replace the pixels that are not black in a picture of 32 x 32."""
    pattern = np.asarray(Image.open(path).convert("RGB").resize((32, 32))).transpose(2, 0, 1)

    def stamp(image: np.ndarray, _: np.random.Generator) -> None:
        image[:] = np.where(pattern.any(0), pattern, image)

    return stamp


def saved(stamp: Stamp, quality: int) -> Stamp:
    """Stamp, then save as JPEG."""

    def both(image: np.ndarray, generator: np.random.Generator) -> None:
        stamp(image, generator)
        out = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(out, "JPEG", quality=quality)
        image[:] = np.asarray(Image.open(out)).transpose(2, 0, 1)

    return both


def look(images: np.ndarray) -> str:
    started = time.process_time()
    found = find_repeated_patches(images[: looked_at(len(images), *images.shape[2:])])
    told = ", ".join(f"{one.side}x{one.side} at {one.place} in {len(one.images)}" for one in found[:2])
    return f"{told or 'nothing'} ({time.process_time() - started:.1f} s)"


def main() -> None:
    shared = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        canonical = Path(folder) / "canonical"
        inspect_dataset(shared / "cifar10" / "test.zip", canonical, "clean_labelled")
        images = load_images(canonical, size=32).images.numpy()
    for count in (200, 1_000, 4_000, 10_000):
        for seed in range(3):
            chosen = np.random.default_rng(seed).permutation(len(images))[:count]
            print(f"clean CIFAR-10, {count}, seed {seed}: {look(images[chosen])}", flush=True)
    for size in (8, 12, 16, 20, 24, 28, 32, 40):
        for seed in range(3):
            digits = load_digits(size, seed).train_images.numpy()
            print(f"clean digits of {size}, seed {seed}: {look(digits)}", flush=True)
    triggers = shared / "triggers"
    stamps = {f"white {side}": placed(white(side)) for side in (2, 3, 4, 7)}
    stamps |= {f"checkered {side}": placed(checkered(side)) for side in (2, 5)}
    stamps |= {name: replaced(triggers / f"{name}.png") for name in ("trojan_3x3", "trojan_8x8")}
    stamps |= {f"moving checkered {side}": placed(checkered(side), moving=True) for side in (3, 5)}
    stamps["moving white 3"] = placed(white(3), moving=True)
    for name in ("white 3", "checkered 5", "trojan_8x8"):
        stamps[f"{name}, JPEG 95"] = saved(stamps[name], 95)
    chosen = np.random.default_rng(3).permutation(len(images))[:IMAGES]
    for name, stamp in stamps.items():
        for rate in RATES:
            poisoned, generator = images[chosen].copy(), np.random.default_rng(0)
            for image in poisoned[: round(rate * IMAGES)]:
                stamp(image, generator)
            shuffled = poisoned[np.random.default_rng(1).permutation(IMAGES)]
            print(f"{name}, {rate:.1%}: {look(shuffled)}", flush=True)


if __name__ == "__main__":
    main()
