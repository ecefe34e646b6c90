"""From an untrusted archive or image to canonical pixels and an inspection. No torch."""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path

import numpy as np

from models.checkpoints.codes import printable
from models.data.archive_members import ArchivedImage, list_images, read_image_bytes
from models.data.byte_stream import GZIP_SIGNATURE
from models.data.cifar import Cifar, read_cifar_archive, read_cifar_batch
from models.data.codes import data_rejection
from models.data.decode import JPEG_SIGNATURE, decode_image
from models.data.findings import describe, find_all
from models.data.limits import ArchiveLimits, Role, require_within
from models.data.pictures import Pictures, write_groups
from models.data.png_file import PNG_SIGNATURE
from models.data.tar_members import is_tar
from models.results.inspection import DatasetInspection

#: Images, names of the classes in label order, warnings.
Read = tuple[Pictures, tuple[str, ...], tuple[str, ...]]


def inspect_dataset(
    path: Path, out_path: Path, role: Role, *, limits: ArchiveLimits | None = None
) -> DatasetInspection:
    """Read a zip of images, one image or a file of CIFAR's, and write it in canonical form.

    Args:
        path: The uploaded file, which nobody changes while it is read.
        out_path: Where the canonical file goes; written only if everything was accepted.
        role: ``clean_labelled`` needs classes; the others ignore them.
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
    groups = pictures.stack()
    canonical_sha256 = write_groups(groups, classes, out_path)
    labels = [label for labels in pictures.labels.values() for label in labels]
    class_counts = tuple(int(count) for count in np.bincount(labels, minlength=len(classes)))
    findings = None if role == "surrogate" else find_all(groups)
    if findings is not None:
        warnings += describe(findings, pictures.count, classes, class_counts)
    return DatasetInspection(
        role=role,
        images=pictures.count,
        classes=classes,
        class_counts=class_counts if classes else (),
        sizes={size: len(positions) for size, positions in sorted(pictures.positions.items())},
        size_bytes=size_bytes,
        sha256=hashlib.sha256(view).hexdigest(),
        canonical_sha256=canonical_sha256,
        findings=findings,
        warnings=warnings,
    )


def _read(view: memoryview, role: Role, limits: ArchiveLimits) -> Read:
    member_bytes, longest_side = limits.for_role(role)
    pictures = Pictures()
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
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _read_zip(view, role, limits)
    if head.startswith(GZIP_SIGNATURE) or is_tar(bytes(view[:512])):
        return _take(read_cifar_archive(view, limits), role, limits)
    if head[0] == 0x80 and head[1:2] in {b"\2", b"\3", b"\4", b"\5"}:  # a pickle's protocol
        return _take(read_cifar_batch(view, limits), role, limits)
    raise data_rejection(
        "data_format_unknown",
        "The file is neither a zip archive, a PNG or JPEG image, nor one of CIFAR's python files.",
    )


def _take(cifar: Cifar, role: Role, limits: ArchiveLimits) -> Read:
    """Take CIFAR's images over, with their labels where the role has labels."""
    pictures = Pictures()
    labelled = role == "clean_labelled"
    require_within(sum(len(batch.labels) for batch in cifar.batches), limits.members, "The number of images")
    for batch in cifar.batches:
        for pixels, label in zip(batch.pixels, batch.labels, strict=True):
            pictures.add(pixels, label if labelled else None, limits)
    if not pictures.count:
        raise data_rejection("no_images", "The batches hold no image.")
    return pictures, cifar.classes if labelled else (), cifar.warnings


def _read_zip(view: memoryview, role: Role, limits: ArchiveLimits) -> Read:
    member_bytes, longest_side = limits.for_role(role)
    pictures = Pictures()
    images, entered = list_images(view, limits, member_bytes=member_bytes)
    if not images:
        raise data_rejection("no_images", "The archive holds no image.")
    folders = _class_folders(images) if role == "clean_labelled" else None
    if folders is not None:
        _require_no_empty_class(images, entered)
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
    if depths == {0} and len(images[0].parts) > 1:
        one = images[0].parts[0]
        raise data_rejection(
            "labels_missing", f"All images lie in one folder, {one}: that is one class alone."
        )
    if depths == {0}:
        raise data_rejection("labels_missing", "The images lie side by side, without class folders.")
    if len(depths) == 1 and 1 not in depths:
        raise data_rejection(
            "archive_layout",
            f"{images[0].name} lies in a folder of folders: one set of class folders is read, not several.",
        )
    if depths != {1}:
        odd = next(image.name for image, folder in zip(images, folders, strict=True) if len(folder) != 1)
        raise data_rejection("archive_layout", f"{odd} does not lie in a class folder like the others.")
    return [folder[0] for folder in folders]


def _require_no_empty_class(images: list[ArchivedImage], entered: list[tuple[str, ...]]) -> None:
    """Refuse a folder beside the class folders that has no image.

    Passed over, it would shift the labels of all classes behind it if the teacher knows it as a class; taken
    for a class, it would do so if the teacher does not. torchvision's ImageFolder refuses it, too.
    """
    filled = {image.parts[:-1] for image in images}
    one = images[0].parts[:-1]
    for folder in entered:
        if folder not in filled and len(folder) == len(one) and folder[:-1] == one[:-1]:
            raise data_rejection(
                "archive_layout",
                f"The folder {printable('/'.join(folder))} holds no image. If it is a class, one must be in "
                "it, or the labels would be those of other classes; if it is none, leave it out.",
            )


def _warnings(images: list[ArchivedImage], classes: tuple[str, ...]) -> tuple[str, ...]:
    if not classes and len({image.parts[:-1] for image in images}) > 1:
        return ("Folders were ignored: the images were uploaded without labels.",)
    if all(name.isdecimal() for name in classes) and len({len(name) for name in classes}) > 1:
        return (
            "The class folders are numbers of different length. Labels follow their order as text "
            f"({', '.join(classes[:4])}, ...), as torchvision's ImageFolder has it.",
        )
    return ()
