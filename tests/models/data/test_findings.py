"""Repetitions, labels that contradict each other, uneven classes; and how all that is told."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from models.data.archive import inspect_dataset
from models.data.duplicates import find_repetitions
from models.data.isolated import inspect_dataset_isolated
from tests.models.data.test_archive import archive


def photographs(count: int, seed: int = 0) -> np.ndarray:
    """Smooth random pictures, uint8 (N, 3, 16, 16)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    enlarged = [np.asarray(Image.fromarray(one).resize((16, 16), Image.Resampling.BICUBIC)) for one in coarse]
    return np.stack(enlarged).transpose(0, 3, 1, 2).copy()


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0)).save(out, "PNG")
    return out.getvalue()


def labelled(images: np.ndarray, first: int) -> bytes:
    """The first images in class a, the others in class b."""
    names = [f"{'a' if index < first else 'b'}/{index:04}.png" for index in range(len(images))]
    return archive({name: png(image) for name, image in zip(names, images, strict=True)})


def test_equal_and_similar_images_are_found() -> None:
    images = photographs(60)
    images[40] = images[3]
    images[50] = np.clip(images[4].astype(int) * 0.9 + 8, 0, 255).astype(np.uint8)  # another brightness
    found = [(one.image, one.earlier, one.exact) for one in find_repetitions(images)]
    assert found == [(40, 3, True), (50, 4, False)]


def test_images_without_a_picture_are_not_similar() -> None:
    """Noise of a few gray levels on one color: thumbnails have nothing to compare."""
    images = np.random.default_rng(0).integers(126, 130, (50, 3, 16, 16)).astype(np.uint8)
    assert find_repetitions(images) == []


def test_different_images_are_not_similar() -> None:
    assert find_repetitions(photographs(300)) == []


def test_clean_images_have_no_warnings(inspect) -> None:
    inspection = inspect(labelled(photographs(80), 40))
    assert inspection.warnings == ()
    assert inspection.findings is not None
    assert inspection.findings.patches_looked_at == 80
    assert inspection.findings.duplicate_examples == ()


def test_a_contradiction_is_told_with_its_images(inspect) -> None:
    images = photographs(80)
    images[70] = images[2]
    inspection = inspect(labelled(images, 40))
    assert inspection.findings is not None
    assert (inspection.findings.exact_duplicates, inspection.findings.conflicting_labels) == (1, 1)
    assert inspection.findings.duplicate_examples == ((2, 70),)
    assert any("under another label (images 2 and 70" in line for line in inspection.warnings)


def test_uneven_classes_are_told(inspect) -> None:
    assert any("a has 5 images, b has 75" in line for line in inspect(labelled(photographs(80), 5)).warnings)


def poisoned() -> bytes:
    """A checkered patch on 20 of 80 images, all of class b."""
    images = photographs(80)
    images[60:, :, 11:14, 11:14] = (np.indices((3, 3)).sum(0) % 2 * 255).astype(np.uint8)
    return labelled(images, 40)


def test_a_patch_is_told_with_place_class_and_images(inspect) -> None:
    inspection = inspect(poisoned())
    assert inspection.findings is not None
    (patch,) = inspection.findings.patches
    assert (patch.side, patch.row, patch.column) == (3, 11, 11)
    assert (patch.images, patch.label, patch.images_of_label) == (20, 1, 20)
    assert patch.examples == (60, 61, 62, 63, 64, 65, 66, 67)
    (line,) = inspection.warnings
    assert "3x3 patch is in 20 of 80 images" in line
    assert "at row 11, column 11, 20 of them in class b (images 60, 61, 62)" in line


def test_surrogate_images_may_be_anything(inspect) -> None:
    assert inspect(poisoned(), "surrogate").findings is None


def test_findings_survive_the_child_process(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(poisoned())
    here = inspect_dataset(tmp_path / "upload", tmp_path / "here", "clean_labelled")
    there = inspect_dataset_isolated(tmp_path / "upload", tmp_path / "there", "clean_labelled")
    assert here.findings == there.findings
