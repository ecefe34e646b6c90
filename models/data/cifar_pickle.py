"""One pickle of CIFAR's python archives, read without unpickling it.

A batch is a dict of ``data`` (a NumPy array of bytes, N x 3072: three planes of 32 x 32 pixels), ``labels``
or ``fine_labels`` and things that are not needed; ``batches.meta`` and ``meta`` name the classes. The machine
is the one that reads checkpoints, with an allow-list of its own: the names that make such an array, each
called with exactly the arguments that NumPy writes. Everything else is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.checkpoints.codes import printable
from models.checkpoints.limits import Limits
from models.checkpoints.pickle_reader import PickleReader
from models.checkpoints.pickle_values import ByteArray, Global, Mapping, Opaque, Sequence, Value
from models.data.codes import data_rejection
from models.data.decode import Pixels
from models.data.limits import ArchiveLimits, require_within
from models.errors import CheckpointRejected

SIDE = 32
_ROW_BYTES = 3 * SIDE * SIDE
#: NumPy 2 renamed its module.
_RECONSTRUCT = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_ALLOWED = frozenset({*_RECONSTRUCT, "numpy.ndarray", "numpy.dtype"})
#: The machine's codes, in the words of this reader. All others mean that the pickle is not of CIFAR's form.
_CODES = {"limit_exceeded": "data_limit_exceeded", "truncated_file": "batch_truncated"}


@dataclass(frozen=True, eq=False)
class CifarBatch:
    """Images uint8 (N, 32, 32, 3), and a label from 0 on for each."""

    pixels: Pixels
    labels: tuple[int, ...]


def read_batch(data: bytes, name: str, limits: ArchiveLimits) -> CifarBatch:
    """Read the images and labels of one batch.

    Args:
        data: The whole pickle.
        name: For errors, safe to print.
        limits: Bounds on everything it may ask for.

    Raises:
        DataRejected: ``batch_malformed``, ``batch_truncated``, ``batch_code``, ``batch_labels`` or
            ``data_limit_exceeded``.
    """
    entries = _read(data, name, limits)
    match entries.get("data"):
        case ByteArray(content=bytes(content), shape=(rows, _), fortran=fortran):
            flat = np.frombuffer(content, np.uint8).reshape((rows, _ROW_BYTES), order="F" if fortran else "C")
        case _:
            raise data_rejection("batch_malformed", f"{name} has no array of images under the key data.")
    found = [key for key in ("labels", "fine_labels") if key in entries]
    if len(found) != 1:
        raise data_rejection("batch_labels", f"{name} has {len(found)} lists of labels, not one.")
    labels = _integers(entries[found[0]])
    if labels is None or len(labels) != rows or any(label < 0 for label in labels):
        raise data_rejection("batch_labels", f"The {found[0]} of {name} are not one number for each image.")
    require_within(max(labels, default=-1) + 1, limits.classes, f"The number of classes in {name}")
    return CifarBatch(flat.reshape(rows, 3, SIDE, SIDE).transpose(0, 2, 3, 1), tuple(labels))


def read_class_names(data: bytes, name: str, limits: ArchiveLimits) -> tuple[str, ...]:
    """Read the names of the classes, in the order of their labels.

    Arguments and errors are those of ``read_batch``.
    """
    entries = _read(data, name, limits)
    raw = entries.get("fine_label_names", entries.get("label_names"))
    names = [] if not isinstance(raw, Sequence) else [_text(item) for item in raw.items]
    usable = [one for one in names if one and one.isprintable() and len(one) <= 255]
    if not names or len(set(usable)) != len(names):
        raise data_rejection("batch_malformed", f"{name} does not name the classes.")
    require_within(len(names), limits.classes, f"The number of classes in {name}")
    return tuple(usable)


class _BatchReader(PickleReader):
    """The machine with the allow-list of a batch."""

    def resolve(self, module: str, name: str) -> Global:
        full = f"{module}.{name}"
        if "." in name or full not in _ALLOWED:
            shown = printable(full)
            raise data_rejection("batch_code", f"A batch asks to call {shown}, which makes no images.")
        return Global(full)

    def call(self, function: Global, arguments: list[Value]) -> Value:
        match arguments:
            case [b"u1" | "u1", 0, 1] if function.name == "numpy.dtype":
                return Opaque("uint8")
            case [Global(name="numpy.ndarray"), Sequence(kind="tuple", items=[0]), b"b" | "b"] if (
                function.name in _RECONSTRUCT
            ):
                return ByteArray()
        return self._malformed("calls a name with arguments that NumPy does not write")

    def instance(self, kind: Global, arguments: list[Value]) -> Value:  # noqa: ARG002
        return self._malformed("makes something without calling it, which NumPy does not")

    def build(self, target: Value, state: Value) -> None:
        items = state.items if isinstance(state, Sequence) and state.kind == "tuple" else []
        match target, items:
            case Opaque(name="uint8"), [3, b"|" | "|", None, None, None, -1, -1, 0]:
                return
            case (
                ByteArray(content=None) as array,
                [
                    1,
                    Sequence(kind="tuple", items=[int(rows), int(columns)]),
                    Opaque(name="uint8"),
                    bool(fortran),
                    bytes(content),
                ],
            ) if columns == _ROW_BYTES and rows >= 0 and rows * columns == len(content):
                array.shape, array.content, array.fortran = (rows, columns), content, fortran
                return
        self._malformed("sets a state that an array of 32 x 32 color images does not have")

    def string(self, raw: bytes) -> Value:
        """Keep the bytes: pixels are a string of Python 2."""
        return raw

    def key(self, value: Value) -> Value:
        """Return text for the bytes that Python 2 wrote."""
        return _text(value) if isinstance(value, bytes) else value


def _read(data: bytes, name: str, limits: ArchiveLimits) -> dict[str, Value]:
    bounds = Limits(
        pickle_bytes=limits.decoded_bytes, opcodes=limits.opcodes, memo_entries=limits.memo_entries
    )
    reader = _BatchReader(data, bounds)
    try:
        root = reader.read()
    except CheckpointRejected as error:
        code = _CODES.get(error.code, "batch_malformed")
        where = f"{name}, byte {reader.position:,}"
        if code == "data_limit_exceeded":
            raise data_rejection(code, f"{where}: {error.detail}") from None
        raise data_rejection(code, f"{where}: the pickle is not one that CIFAR's archives have.") from None
    if not isinstance(root, Mapping) or reader.position != len(data):
        raise data_rejection("batch_malformed", f"{name} is not one dict, or bytes follow it.")
    return root.entries


def _text(value: Value) -> str:
    """Return text as it is, bytes decoded, and nothing for anything else."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _integers(value: Value) -> list[int] | None:
    items = value.items if isinstance(value, Sequence) and value.kind == "list" else [None]
    plain = [item for item in items if type(item) is int]
    return plain if len(plain) == len(items) else None
