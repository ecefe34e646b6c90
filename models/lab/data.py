"""Labelled images for the lab: digits, an archive of images, a folder, CIFAR as its authors publish it."""

from __future__ import annotations

import hashlib
import mmap
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.data.archive import inspect_dataset
from models.data.byte_stream import GZIP_SIGNATURE
from models.data.cifar import read_cifar_archive
from models.data.dataset import load_images
from models.data.digits import load_digits
from models.data.labelled import LabelledImages
from models.data.limits import ArchiveLimits
from models.data.tar_members import is_tar
from models.errors import DataRejected

DIGITS = "digits"
#: Of the division into training and test images. One for all recipes, whatever their seeds, so that teachers
#: of several seeds are measured on the same images.
_SPLIT_SEED = 0
#: In words that hold for every command that takes such data: one alone has --test.
_BOTH = (
    "Name a folder that holds both, as train.zip and test.zip; `proctor lab make` can take the test images "
    "apart, with --test."
)
_PICTURES = frozenset({".png", ".jpg", ".jpeg"})
#: Pictures too, and the reader refuses them by name. Left out, they would be missing without a word.
_OTHER_PICTURES = frozenset({".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, eq=False)
class LabData:
    """Training and test images, and what tells them from others."""

    name: str
    training: LabelledImages
    test: LabelledImages
    classes: tuple[str, ...]
    sha256: dict[str, str]
    """Of pixels and labels, training and test."""


def load_lab_data(source: str, test: Path | None, *, size: int) -> LabData:
    """Load both halves.

    Args:
        source: ``digits``; or an archive of training images in class folders; or a folder with ``train.zip``
            and ``test.zip``, with folders ``train`` and ``test`` of class folders, or with one CIFAR archive;
            or that archive.
        test: Archive or folder of test images; needed only beside a single archive or folder of images.
        size: Side in pixels that all images are brought to.

    Raises:
        DataRejected: If the images cannot be read, or training and test have not the same classes; if test
            images are given where the training images bring their own.
    """
    if test is not None and (source == DIGITS or _is_cifar(Path(source))):
        raise DataRejected(
            f"{Path(source).name} brings test images of its own, and others are given.",
            code="test_images_unused",
            hint="Leave --test out; or give training images alone with --data.",
        )
    if source == DIGITS:
        split = load_digits(size, _SPLIT_SEED)
        training = LabelledImages(split.train_images, split.train_labels)
        held_out = LabelledImages(split.test_images, split.test_labels)
        return _lab_data(DIGITS, training, held_out, tuple(str(digit) for digit in range(10)))
    path = Path(source)
    if path.is_dir() and test is None:
        path, test = _parts(path)
    if test is None:
        return _cifar(path)
    training, classes = _labelled(path, size)
    held_out, test_classes = _labelled(test, size)
    if test_classes != classes:
        raise DataRejected(
            f"Training has {len(classes)} classes, test {len(test_classes)}, or their names differ.",
            code="labels_mismatch",
            hint="Give the same class folders in both.",
        )
    return _lab_data(path.name, training, held_out, classes)


def _parts(folder: Path) -> tuple[Path, Path | None]:
    for train, test in (("train.zip", "test.zip"), ("train", "test")):
        if (folder / train).exists() and (folder / test).exists():
            return folder / train, folder / test
    archives = sorted(folder.glob("cifar-10*-python.tar.gz"))
    if len(archives) == 1:
        return archives[0], None
    raise DataRejected(
        f"{folder} holds neither train.zip and test.zip, nor train and test, nor one CIFAR archive.",
        code="data_format_unknown",
        hint=_BOTH,
    )


def _labelled(path: Path, size: int) -> tuple[LabelledImages, tuple[str, ...]]:
    with tempfile.TemporaryDirectory(prefix="proctor-lab-") as folder:
        archive = path
        if path.is_dir():
            archive = Path(folder) / "images.zip"
            _zip(path, archive)
        canonical = Path(folder) / "images.safetensors"
        inspect_dataset(archive, canonical, "clean_labelled")
        images = load_images(canonical, size=size)
    if images.labels is None:
        raise DataRejected(f"{path.name} has no class folders.", code="labels_missing")
    return LabelledImages(images.images, images.labels), images.classes


def _zip(folder: Path, archive: Path) -> None:
    """Pack ``class/picture`` without compressing, for the one reader there is.

    Pictures elsewhere are refused, as in an archive: left out, they would be missing without a word.
    """
    for odd in (*folder.glob("*"), *folder.glob("*/*/*")):
        if _is_picture(odd):
            raise DataRejected(
                f"{odd.relative_to(folder)} does not lie in a class folder like the others.",
                code="archive_layout",
                hint="Put every picture into a folder named after its class, and nothing in between.",
            )
    # Reproducible images and some file systems date everything 1970, which a zip cannot say.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, strict_timestamps=False) as packed:
        for picture in sorted(folder.glob("*/*")):
            if _is_picture(picture):
                packed.write(picture, f"{picture.parent.name}/{picture.name}")


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _PICTURES | _OTHER_PICTURES


def _is_cifar(path: Path) -> bool:
    """Whether a file is an archive as CIFAR's authors publish it, with test images among the others."""
    if path.is_dir():
        return False
    with path.open("rb") as file:
        head = file.read(512)
    return head.startswith(GZIP_SIGNATURE) or is_tar(head)


def _cifar(path: Path) -> LabData:
    if not _is_cifar(path):
        raise DataRejected(
            f"{path.name} is no CIFAR archive, and no test images are named beside it.",
            code="test_images_missing",
            hint=_BOTH,
        )
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            cifar = read_cifar_archive(view, ArchiveLimits())
        finally:
            view.release()
    parts = []
    for wanted in (False, True):
        batches = [
            batch for batch, is_test in zip(cifar.batches, cifar.is_test, strict=True) if is_test == wanted
        ]
        if not batches:
            raise DataRejected(f"{path.name} lacks training or test images.", code="test_images_missing")
        pixels = np.concatenate([batch.pixels for batch in batches])
        labels = [label for batch in batches for label in batch.labels]
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        parts.append(LabelledImages(images, torch.tensor(labels)))
    return _lab_data(path.name, parts[0], parts[1], cifar.classes)


def _lab_data(name: str, training: LabelledImages, test: LabelledImages, classes: tuple[str, ...]) -> LabData:
    sha256 = {"training": _digest(training), "test": _digest(test)}
    return LabData(name, training, test, classes, sha256)


def _digest(data: LabelledImages) -> str:
    digest = hashlib.sha256(str(tuple(data.images.shape)).encode())
    digest.update(np.ascontiguousarray(data.images.numpy()).data)
    digest.update(np.ascontiguousarray(data.labels.numpy()).data)
    return digest.hexdigest()
