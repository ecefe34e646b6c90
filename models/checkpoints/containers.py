"""The three containers, opened into one form: a tree of inert nodes and the bytes of its storages."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from typing import NoReturn

from models.checkpoints.codes import printable, rejection
from models.checkpoints.legacy_reader import read_legacy
from models.checkpoints.limits import Limits, require_at_most
from models.checkpoints.pickle_reader import PickleReader
from models.checkpoints.pickle_values import Value
from models.checkpoints.reckoned_offsets import require_reckoned_offsets
from models.checkpoints.recognize import recognize, require_torch_zip
from models.checkpoints.safetensors_header import read_safetensors
from models.checkpoints.second_reading import torch_would_read
from models.checkpoints.zip_profile import Member, locate_members, read_directory, stored_bytes
from models.errors import CheckpointRejected
from models.results.inspection import CheckpointFormat

_EXTRA_MEMBERS = frozenset(
    {"data.pkl", "byteorder", "version", ".format_version", ".storage_alignment", ".data/serialization_id"}
)


@dataclass(frozen=True, slots=True)
class OpenedCheckpoint:
    """A checkpoint whose structure was read and whose weights were not."""

    format: CheckpointFormat
    root: Value
    storages: AbstractMapping[str, memoryview]
    """Bytes of every storage the tree refers to, of exactly the declared length."""
    inert: tuple[str, ...]
    """Names of the objects beside the weights that were dropped."""
    metadata: AbstractMapping[str, str] = field(default_factory=dict)
    """Text of a safetensors header."""


def open_checkpoint(view: memoryview, limits: Limits) -> OpenedCheckpoint:
    """Recognize a file by its content and read its structure.

    Raises:
        CheckpointRejected: See ``codes``.
    """
    require_at_most(len(view), limits.file_bytes, "size in bytes")
    match recognize(view):
        case "zip":
            return _open_zip(view, limits)
        case "torch_legacy":
            root, storages, inert = read_legacy(view, limits)
            return OpenedCheckpoint("torch_legacy", root, storages, inert)
        case "safetensors":
            root, storages, metadata = read_safetensors(view, limits)
            if torch_would_read(view, limits):
                raise rejection(
                    "unsupported_format",
                    "The file is safetensors, but torch.load reads it as pickles: of other weights, or of "
                    "code.",
                    hint="If this checkpoint came from someone else, treat it as hostile. If it is yours, "
                    "save model.state_dict() again with safetensors, without metadata.",
                )
            return OpenedCheckpoint("safetensors", root, storages, (), metadata)
        case _:
            # Reading a plain pickle only serves to name what it would run; its tensors stay out of reach.
            try:
                PickleReader(bytes(view[: limits.pickle_bytes]), limits).read()
            except CheckpointRejected as error:
                if error.code != "limit_exceeded":  # it is not accepted, whatever the limits are
                    raise
            raise rejection("unsupported_format", "The file is a plain pickle, not written by torch.save.")


def _open_zip(view: memoryview, limits: Limits) -> OpenedCheckpoint:
    maximum = limits.tensors + len(_EXTRA_MEMBERS)
    entries, directory_at = read_directory(view, max_entries=maximum, allow_zip64=True, refuse=_refuse)
    require_torch_zip([entry.name.decode("utf-8", errors="replace") for entry in entries])
    members = _relative_names(locate_members(view, entries, directory_at, refuse=_refuse))
    contents = {name: stored_bytes(view, member, refuse=_refuse) for name, member in members.items()}
    if bytes(contents.get("byteorder", b"little")[:16]) != b"little":
        raise rejection("byte_order_unsupported", "The file says that it is not little-endian.")
    require_at_most(len(contents["data.pkl"]), limits.pickle_bytes, "data.pkl, in bytes,")
    reader = PickleReader(bytes(contents["data.pkl"]), limits)
    root = reader.read()
    if reader.position != len(contents["data.pkl"]):
        raise rejection("pickle_malformed", "Bytes follow the end of data.pkl's pickle.")
    stored = {name.removeprefix("data/"): data for name, data in contents.items() if name.startswith("data/")}
    if stored.keys() != reader.storages.keys():
        missing = sorted(stored.keys() ^ reader.storages.keys())
        raise rejection("storage_missing", f"Storage {missing[0]} is referred to or stored, but not both.")
    for key, storage in reader.storages.items():
        if len(stored[key]) != storage.size_bytes:
            raise rejection(
                "storage_size_mismatch",
                f"Storage {key} has {len(stored[key]):,} bytes; its tensors need {storage.size_bytes:,}.",
            )
    require_reckoned_offsets(members, contents, reader.storages.values())
    return OpenedCheckpoint("torch_zip", root, stored, tuple(reader.inert))


def _relative_names(members: list[Member]) -> dict[str, Member]:
    root = members[0].entry.name.partition(b"/")[0]
    relative: dict[str, Member] = {}
    for member in members:
        folder, _, rest = member.entry.name.partition(b"/")
        name = rest.decode("ascii", errors="replace")
        storage_key = name.removeprefix("data/")
        is_storage = (
            name.startswith("data/")
            and storage_key.isascii()
            and storage_key.isdigit()
            and len(storage_key) <= 20
        )
        if folder != root or not (is_storage or name in _EXTRA_MEMBERS):
            shown = printable(member.entry.name.decode("utf-8", errors="replace"))
            raise rejection(
                "zip_unexpected_member", f"The zip holds {shown}, which torch.save does not write."
            )
        relative[name] = member
    return relative


def _refuse(kind: str, detail: str) -> NoReturn:
    codes = {"truncated": "truncated_file", "limit": "limit_exceeded", "encrypted": "zip_compressed"}
    raise rejection(codes.get(kind, f"zip_{kind}"), detail)
