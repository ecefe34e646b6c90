"""The format of torch.save before 1.6: five pickles in a row, then every storage's length and bytes."""

from __future__ import annotations

from models.checkpoints.codes import rejection
from models.checkpoints.limits import Limits
from models.checkpoints.pickle_reader import PickleReader
from models.checkpoints.pickle_values import Mapping, Sequence, Value

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read_legacy(view: memoryview, limits: Limits) -> tuple[Value, dict[str, memoryview], tuple[str, ...]]:
    """Read the tree and find the storages' bytes.

    The pickles are: magic number, protocol, system description, the object, the storages' keys in file order.

    Returns:
        The object, every storage's bytes by key, and the names of the inert objects met.

    Raises:
        CheckpointRejected: See ``codes``.
    """
    reader = PickleReader(bytes(view[: limits.pickle_bytes]), limits)
    if reader.read() != _MAGIC or reader.read() != _PROTOCOL:
        raise rejection("pickle_malformed", "The file does not carry torch's magic number and protocol.")
    system = reader.read()
    if not isinstance(system, Mapping) or system.entries.get("little_endian") is not True:
        raise rejection("byte_order_unsupported", "The file does not say that it is little-endian.")
    root = reader.read()
    keys = reader.read()
    if not isinstance(keys, Sequence) or keys.kind != "list":
        raise rejection("pickle_malformed", "The file's list of storages is no list.")
    names = [key for key in keys.items if isinstance(key, str)]
    if len(names) != len(keys.items) or len(set(names)) != len(names) or set(names) != reader.storages.keys():
        raise rejection(
            "storage_missing", "The file's list of storages is not the set that its tensors refer to."
        )
    return root, _storages(view, reader, names), tuple(reader.inert)


def _storages(view: memoryview, reader: PickleReader, names: list[str]) -> dict[str, memoryview]:
    at = reader.position
    found: dict[str, memoryview] = {}
    for name in names:
        storage = reader.storages[name]
        start = at + 8
        at = start + storage.size_bytes
        if at > len(view):
            raise rejection(
                "truncated_file", f"The file ends {at - len(view):,} bytes before the end of storage {name}."
            )
        elements = int.from_bytes(view[start - 8 : start], "little", signed=True)
        if elements != storage.elements:
            raise rejection(
                "storage_size_mismatch",
                f"Storage {name} has {elements:,} elements; its declaration says {storage.elements:,}.",
            )
        found[name] = view[start:at]
    if at != len(view):
        raise rejection("storage_size_mismatch", f"{len(view) - at:,} bytes follow the last storage.")
    return found
