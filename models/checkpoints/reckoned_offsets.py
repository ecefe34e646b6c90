"""Whether ``torch.load`` would find every storage where it reckons that it lies.

Under ``torch.utils.serialization.config.load.calculate_storage_offsets`` with ``mmap=True``, and under fake
tensors, torch does not ask the zip where storages are. It goes through them in the order in
which the pickle first names them, and adds up what its own writer would have written: header, padding, bytes,
descriptor. A file with its storages in another order is then read as another network.

Source: ``torch/serialization.py`` (``_get_offset``) and ``getPadding`` of ``caffe2/serialize/
inline_container.cc``. Files here have less than 4 GiB, so that no header is a zip64 one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from models.checkpoints.codes import rejection
from models.checkpoints.tensor_spec import StorageSpec
from models.checkpoints.zip_profile import Member

_USUAL_ALIGNMENT = b"64"
_LOCAL_HEADER, _EXTRA_HEADER, _DESCRIPTOR = 30, 4, 16


def require_reckoned_offsets(
    members: Mapping[str, Member], contents: Mapping[str, memoryview], storages: Iterable[StorageSpec]
) -> None:
    """Refuse a zip whose storages do not lie where torch reckons.

    Args:
        members: By name below the archive's root.
        contents: Their bytes, by the same names.
        storages: In the order in which the pickle first names them; all are members.

    Raises:
        CheckpointRejected: ``zip_malformed``. Files without ``.format_version`` are never reckoned with.
    """
    if bytes(contents.get(".format_version", b"")) < b"1":
        return
    alignment = _alignment(bytes(contents.get(".storage_alignment", _USUAL_ALIGNMENT)))
    expected = None
    for storage in storages:
        member = members[f"data/{storage.key}"]
        if expected is None:
            expected = member.start
        else:
            start = expected + _LOCAL_HEADER + len(member.entry.name) + _EXTRA_HEADER
            expected = start + -start % alignment
        if member.start != expected:
            raise rejection(
                "zip_malformed",
                f"Storage {storage.key} does not lie where torch.save puts it; torch.load reads other "
                "weights if it is told to calculate offsets.",
            )
        expected += storage.size_bytes + (_DESCRIPTOR if storage.size_bytes else 0)


def _alignment(raw: bytes) -> int:
    if not re.fullmatch(rb"[1-9][0-9]{0,7}", raw):
        raise rejection("zip_malformed", "The zip's .storage_alignment is no number from 1 on.")
    return int(raw)
