"""From an untrusted archive or image to canonical pixels and an inspection. No torch.

The canonical file is safetensors: for every image size ``WxH``, ``images.WxH`` uint8 (N, 3, H, W) and
``positions.WxH`` int64 (N,), the places of these images in the order of their names; with labels also
``labels.WxH`` int64 (N,). Class names are JSON in the header's metadata.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.checkpoints.canonical import write_safetensors
from models.checkpoints.tensor_spec import DTYPES
from models.checkpoints.weights import WeightTensor
from models.data.archive_members import ArchivedImage, list_images, read_image_bytes
from models.data.codes import data_rejection
from models.data.decode import JPEG_SIGNATURE, PNG_SIGNATURE, Pixels, decode_image
from models.data.limits import ArchiveLimits, Role, require_within
from models.results.inspection import DatasetInspection


@dataclass(slots=True)
class _Pictures:
    """Decoded images by size, with their places and labels."""

    images: dict[str, list[Pixels]] = field(default_factory=dict)
    positions: dict[str, list[int]] = field(default_factory=dict)
    labels: dict[str, list[int]] = field(default_factory=dict)
    count: int = 0
    size_bytes: int = 0

    def add(self, pixels: Pixels, label: int | None, limits: ArchiveLimits) -> None:
        """Take one image (H, W, 3)."""
        self.size_bytes += pixels.nbytes
        require_within(self.size_bytes, limits.decoded_bytes, "The size of all images as pixels, in bytes,")
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        self.images.setdefault(size, []).append(pixels)
        self.positions.setdefault(size, []).append(self.count)
        require_within(len(self.images), limits.sizes, "The number of different image sizes")
        if label is not None:
            self.labels.setdefault(size, []).append(label)
        self.count += 1


def inspect_dataset(
    path: Path, out_path: Path, role: Role, *, limits: ArchiveLimits | None = None
) -> DatasetInspection:
    """Read a zip of images, or one image, and write it in canonical form.

    Args:
        path: The uploaded file, which nobody changes while it is read.
        out_path: Where the canonical file goes; written only if everything was accepted.
        role: ``clean_labelled`` needs class folders; the others ignore them.
        limits: Bounds on everything the file may ask for; None takes the defaults.

    Raises:
        DataRejected: With one of ``codes.DATA_CODES``; one bad image refuses the archive and is named.
    """
    limits = limits or ArchiveLimits()
    with path.open("rb") as file:
        size_bytes = file.seek(0, 2)
        require_within(size_bytes, limits.file_bytes, "The size of the file in bytes")
        if not size_bytes:
            raise data_rejection("empty_file", "The file is empty.")
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    pictures, classes, warnings = _read(view, role, limits)
    canonical_sha256 = _write(pictures, classes, out_path)
    label_counts = np.bincount(
        [label for labels in pictures.labels.values() for label in labels], minlength=len(classes)
    )
    return DatasetInspection(
        role=role,
        images=pictures.count,
        classes=classes,
        class_counts=tuple(int(count) for count in label_counts),
        sizes={size: len(positions) for size, positions in sorted(pictures.positions.items())},
        size_bytes=size_bytes,
        sha256=hashlib.sha256(view).hexdigest(),
        canonical_sha256=canonical_sha256,
        warnings=warnings,
    )


def _read(
    view: memoryview, role: Role, limits: ArchiveLimits
) -> tuple[_Pictures, tuple[str, ...], tuple[str, ...]]:
    member_bytes, longest_side = limits.for_role(role)
    pictures = _Pictures()
    head = bytes(view[:8])
    if head.startswith((PNG_SIGNATURE, JPEG_SIGNATURE)):
        if role != "surrogate":
            raise data_rejection("single_image", "The file is a single image.")
        require_within(len(view), member_bytes, "The size of the image in bytes")
        pixels = decode_image(
            bytes(view), "The image", shortest_side=limits.shortest_side, longest_side=longest_side
        )
        pictures.add(pixels, None, limits)
        return pictures, (), ()
    if not head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        raise data_rejection(
            "data_format_unknown", "The file is neither a zip archive nor a PNG or JPEG image."
        )
    images = list_images(view, limits, member_bytes=member_bytes)
    if not images:
        raise data_rejection("no_images", "The archive holds no image.")
    folders = _class_folders(images) if role == "clean_labelled" else None
    classes = tuple(sorted(set(folders))) if folders is not None else ()
    require_within(len(classes), limits.classes, "The number of class folders")
    label_of = {name: label for label, name in enumerate(classes)}
    for index, image in enumerate(images):
        data = read_image_bytes(view, image)
        pixels = decode_image(data, image.name, shortest_side=limits.shortest_side, longest_side=longest_side)
        pictures.add(pixels, label_of[folders[index]] if folders is not None else None, limits)
    return pictures, classes, _warnings(images, classes)


def _class_folders(images: list[ArchivedImage]) -> list[str]:
    """Return each image's class folder.

    One folder around everything is passed over: that is how a folder is zipped from outside.
    """
    folders = [image.parts[:-1] for image in images]
    if folders[0] and all(folder[:1] == folders[0][:1] for folder in folders):
        folders = [folder[1:] for folder in folders]
    depths = {len(folder) for folder in folders}
    if depths == {0}:
        raise data_rejection("labels_missing", "The images lie side by side, without class folders.")
    if depths != {1}:
        odd = next(image.name for image, folder in zip(images, folders, strict=True) if len(folder) != 1)
        raise data_rejection("archive_layout", f"{odd} does not lie in a class folder like the others.")
    return [folder[0] for folder in folders]


def _warnings(images: list[ArchivedImage], classes: tuple[str, ...]) -> tuple[str, ...]:
    if not classes and len({image.parts[:-1] for image in images}) > 1:
        return ("Folders were ignored: the images were uploaded without labels.",)
    if all(name.isdecimal() for name in classes) and len({len(name) for name in classes}) > 1:
        return (
            "The class folders are numbers of different length. Labels follow their order as text "
            f"({', '.join(classes[:4])}, ...), as torchvision's ImageFolder has it.",
        )
    return ()


def _write(pictures: _Pictures, classes: tuple[str, ...], out_path: Path) -> str:
    tensors: dict[str, WeightTensor] = {}
    for size, images in pictures.images.items():
        height, width, _ = images[0].shape
        stacked = np.empty((len(images), 3, height, width), np.uint8)
        for index in range(len(images) - 1, -1, -1):
            stacked[index] = images.pop().transpose(2, 0, 1)
        tensors[f"images.{size}"] = WeightTensor(DTYPES["U8"], stacked)
        tensors[f"positions.{size}"] = WeightTensor(DTYPES["I64"], np.array(pictures.positions[size], "<i8"))
        if pictures.labels:
            tensors[f"labels.{size}"] = WeightTensor(DTYPES["I64"], np.array(pictures.labels[size], "<i8"))
    return write_safetensors(tensors, out_path, metadata={"classes": json.dumps(classes)})
