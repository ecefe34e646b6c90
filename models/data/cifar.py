"""CIFAR-10 and CIFAR-100 as their authors publish them: a tar of pickled batches, or one batch of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from models.checkpoints.codes import printable
from models.data.byte_stream import open_stream
from models.data.cifar_pickle import CifarBatch, read_batch, read_class_names
from models.data.codes import data_rejection
from models.data.limits import ArchiveLimits
from models.data.tar_members import read_files

_BATCH = re.compile(r"data_batch_[0-9]{1,3}|test_batch|train|test")
_TEST = frozenset({"test_batch", "test"})
_NAMES = frozenset({"batches.meta", "meta"})
#: What else lies in the two archives. It is passed over unread.
_BESIDE = frozenset({"readme.html", "file.txt~"})

_MIXED_WARNING = (
    "The archive holds training and test images. A teacher that was trained on them knows the former, so its "
    "accuracy on all of them is too high: give {test} alone to measure on images it has not seen."
)
_NUMBERED_WARNING = "A single batch does not name its classes: they are called by their numbers."


@dataclass(frozen=True, eq=False)
class Cifar:
    """All batches in the order of their names."""

    batches: tuple[CifarBatch, ...]
    classes: tuple[str, ...]
    warnings: tuple[str, ...]
    is_test: tuple[bool, ...]
    """Of each batch, by its name; a batch alone has none and counts as training."""


def read_cifar_batch(view: memoryview, limits: ArchiveLimits) -> Cifar:
    """Read one batch, such as ``test_batch``; classes are named by their numbers.

    Args:
        view: The whole file.
        limits: Bounds on everything it may ask for.

    Raises:
        DataRejected: With one of ``codes.DATA_CODES``.
    """
    batch = read_batch(bytes(view), "The batch", limits)
    classes = tuple(str(label) for label in range(max(batch.labels, default=-1) + 1))
    return Cifar((batch,), classes, (_NUMBERED_WARNING,), (False,))


def read_cifar_archive(view: memoryview, limits: ArchiveLimits) -> Cifar:
    """Read ``cifar-10-python.tar.gz``, ``cifar-100-python.tar.gz`` or a tar like them.

    Arguments and errors are those of ``read_cifar_batch``.
    """
    batches: dict[str, CifarBatch] = {}
    classes: tuple[str, ...] = ()
    for name, content in read_files(open_stream(view, limits), limits, wanted=_is_wanted):
        base, shown = name.rpartition("/")[2], printable(name)
        if base in batches or (classes and base in _NAMES):
            raise data_rejection("archive_duplicate_name", f"{shown} is in the archive in two folders.")
        if base in _NAMES:
            classes = read_class_names(content, shown, limits)
        else:
            batches[base] = read_batch(content, shown, limits)
    if not batches or not classes:
        raise data_rejection(
            "archive_not_cifar", f"The tar holds {len(batches)} batches and {len(classes)} names of classes."
        )
    ordered = tuple(batch for _, batch in sorted(batches.items()))
    largest = max((max(batch.labels, default=-1) for batch in ordered), default=-1)
    if largest >= len(classes):
        raise data_rejection("batch_labels", f"A label is {largest}, and {len(classes)} classes are named.")
    test = _TEST & batches.keys()
    mixed = bool(test) and len(batches) > len(test)
    warnings = (_MIXED_WARNING.format(test=min(test)),) if mixed else ()
    return Cifar(ordered, classes, warnings, tuple(name in _TEST for name in sorted(batches)))


def _is_wanted(name: str) -> bool:
    base = name.rpartition("/")[2]
    if base in _NAMES or _BATCH.fullmatch(base):
        return True
    if base in _BESIDE:
        return False
    raise data_rejection("archive_not_cifar", f"{printable(name)} is not a file of CIFAR's archives.")
