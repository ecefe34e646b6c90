"""The zip structure, read from its bytes and held to a profile: no hidden bytes, no two readings.

Written against PKWARE's APPNOTE 6.3.10. A zip that passes has exactly one meaning: every byte belongs to one
local header, one member, one data descriptor or the directory; local and central names agree; nothing
overlaps (CPython 3.11.7's zipfile reads overlapping entries, CVE-2024-0450). Checkpoints and image archives
share it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_DESCRIPTOR = 0x0008
#: Descriptor, UTF-8 names, how hard deflate tried. Patched data, masked headers and the rest are not read.
_KNOWN_FLAGS = _DESCRIPTOR | 0x0800 | 0x0006
#: The last version there is. Files that need a later one are refused by other readers, and so by this one.
_NEWEST_VERSION = 63
#: What no file system lets a path be longer than by much; comparing names may cost the square of this.
_NAME_BYTES = 512
#: Extra fields from which another reader would take other sizes, another name or a cipher: zip64, strong
#: encryption, Unicode comment, Unicode path, AES.
_SECOND_READINGS = frozenset({0x0001, 0x0017, 0x6375, 0x7075, 0x9901})

Refuse = Callable[[str, str], NoReturn]
"""Raises the caller's own error for a short kind (``malformed``, ``overlap``, ...) and a detail."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the directory, as the directory has it."""

    name: bytes
    flags: int
    method: int
    crc: int
    compressed_bytes: int
    size_bytes: int
    offset: int
    made_by: int
    attributes: int


@dataclass(frozen=True, slots=True)
class Member:
    """A member whose local header agrees with the directory."""

    entry: Entry
    start: int
    """Where its bytes begin."""


def read_directory(
    view: memoryview, *, max_entries: int, allow_zip64: bool, refuse: Refuse
) -> tuple[list[Entry], int]:
    """Read the central directory.

    Args:
        view: The whole file.
        max_entries: Most entries accepted.
        allow_zip64: Whether a zip64 end record may stand before the plain one; torch.save always writes one.
        refuse: Raises for ``truncated``, ``malformed`` and ``limit``.

    Returns:
        The entries in directory order, and the offset at which the directory begins.
    """
    at = len(view) - _END.size
    if at < 0 or bytes(view[at : at + 4]) != b"PK\x05\x06":
        refuse("truncated", "The zip's end record is not at the end of the file.")
    _, disk, first_disk, on_disk, count, size, start, comment = _END.unpack_from(view, at)
    if disk or first_disk or on_disk != count or comment:
        refuse("malformed", "The zip's end record speaks of several disks or carries a comment.")
    if count > max_entries:
        refuse("limit", f"The zip has {count:,} members; at most {max_entries:,} are accepted.")
    if (
        at >= _LOCATOR64.size
        and bytes(view[at - _LOCATOR64.size : at - _LOCATOR64.size + 4]) == b"PK\x06\x07"
    ):
        if not allow_zip64:
            refuse("malformed", "The zip uses the zip64 extension.")
        at = _check_zip64(view, at - _LOCATOR64.size, (count, size, start), refuse)
    if start + size != at:
        refuse("malformed", "The zip's directory does not end where the end record begins.")
    return _read_entries(view, start, at, count, refuse), start


def _check_zip64(view: memoryview, locator_at: int, expected: tuple[int, int, int], refuse: Refuse) -> int:
    at = locator_at - _END64.size
    _, disk, record_at, disks = _LOCATOR64.unpack_from(view, locator_at)
    if at < 0 or record_at != at or disk or disks != 1:
        refuse("malformed", "The zip64 locator does not point at the record before it.")
    magic, size, _, _, disk, first_disk, on_disk, count, bytes_, start = _END64.unpack_from(view, at)
    if magic != b"PK\x06\x06" or size != _END64.size - 12 or disk or first_disk or on_disk != count:
        refuse("malformed", "The zip64 end record is not the plain one.")
    if (count, bytes_, start) != expected:
        refuse("malformed", "The zip64 end record and the plain one disagree.")
    return at


def _read_entries(view: memoryview, at: int, end: int, count: int, refuse: Refuse) -> list[Entry]:
    entries: list[Entry] = []
    for _ in range(count):
        if at + _CENTRAL.size > end or bytes(view[at : at + 4]) != b"PK\x01\x02":
            refuse("malformed", "The zip's directory has fewer entries than it counts.")
        _, made_by, needed, flags, method, _, _, *rest = _CENTRAL.unpack_from(view, at)
        crc, compressed, size, name_length, extra, comment, disk, _, attributes, offset = rest
        name_at = at + _CENTRAL.size
        at = name_at + name_length + extra + comment
        if at > end or comment or disk:
            refuse(
                "malformed", "A zip entry carries a comment, names another disk or overruns the directory."
            )
        if flags & ~(_KNOWN_FLAGS | _ENCRYPTED) or needed > _NEWEST_VERSION:
            refuse(
                "malformed", f"A zip member needs version {needed} of the format, or has flags 0x{flags:04x}."
            )
        if name_length > _NAME_BYTES:
            refuse("malformed", f"A zip member's name has {name_length:,} bytes.")
        _check_extra(view[name_at + name_length : at], refuse)
        name = bytes(view[name_at : name_at + name_length])
        entries.append(Entry(name, flags, method, crc, compressed, size, offset, made_by, attributes))
    if at != end:
        refuse("malformed", "Bytes lie between the zip's directory and its end record.")
    names = {entry.name for entry in entries}
    if len(names) != len(entries):
        refuse("duplicate_name", "Two zip members have the same name.")
    return entries


def locate_members(
    view: memoryview, entries: list[Entry], directory_at: int, *, refuse: Refuse
) -> list[Member]:
    """Check every local header against the directory, and that members tile the file without gap or overlap.

    Args:
        view: The whole file.
        entries: From ``read_directory``.
        directory_at: Where the directory begins, which is where the last member must end.
        refuse: Raises for ``malformed``, ``overlap`` and ``encrypted``.

    Returns:
        The members in file order.
    """
    members: list[Member] = []
    expected = 0
    for entry in sorted(entries, key=lambda one: one.offset):
        if entry.offset != expected:
            refuse("overlap", "Zip members overlap, or bytes lie between them.")
        member, expected = _locate(view, entry, directory_at, refuse)
        members.append(member)
    if expected != directory_at:
        refuse("overlap", "Bytes lie between the zip's last member and its directory.")
    return members


def _locate(view: memoryview, entry: Entry, directory_at: int, refuse: Refuse) -> tuple[Member, int]:
    if entry.flags & _ENCRYPTED:
        refuse("encrypted", "A zip member is encrypted.")
    if entry.offset + _LOCAL.size > directory_at:
        refuse("malformed", "A zip member's header lies outside the file.")
    magic, needed, flags, method, _, _, crc, compressed, size, name_length, extra = _LOCAL.unpack_from(
        view, entry.offset
    )
    name_at = entry.offset + _LOCAL.size
    start = name_at + name_length + extra
    end = start + entry.compressed_bytes
    if magic != b"PK\x03\x04" or end > directory_at:
        refuse("malformed", "A zip member's header is missing, or its bytes reach into the directory.")
    if (
        flags != entry.flags
        or needed > _NEWEST_VERSION
        or method != entry.method
        or bytes(view[name_at : name_at + name_length]) != entry.name
    ):
        refuse("malformed", "A zip member's own header and the directory disagree.")
    _check_extra(view[name_at + name_length : start], refuse)
    central = (entry.crc, entry.compressed_bytes, entry.size_bytes)
    if (crc, compressed, size) == central:
        # Some writers add a descriptor although the sizes were known.
        return Member(entry, start), _after_descriptor(view, end, central) or end
    described = (
        _after_descriptor(view, end, central)
        if flags & _DESCRIPTOR and not (crc or compressed or size)
        else None
    )
    if described is None:
        refuse("malformed", "A zip member's own sizes and the directory's disagree.")
    return Member(entry, start), described


def _check_extra(extra: memoryview, refuse: Refuse) -> None:
    """Refuse extra fields that say something else than the headers do, or that are none."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind in _SECOND_READINGS:
            refuse("malformed", f"A zip member carries the extra field 0x{kind:04x}.")
        at += 4 + length
    if at != len(extra):
        refuse("malformed", "A zip member's extra fields do not end where they should.")


def _after_descriptor(view: memoryview, at: int, central: tuple[int, int, int]) -> int | None:
    plain = struct.pack("<3L", *central)
    for descriptor in (b"PK\x07\x08" + plain, plain):
        if bytes(view[at : at + len(descriptor)]) == descriptor:
            return at + len(descriptor)
    return None


def stored_bytes(view: memoryview, member: Member, *, refuse: Refuse) -> memoryview:
    """Return a stored member's bytes once their CRC-32 is right.

    Raises through ``refuse``: ``compressed`` or ``checksum``.
    """
    entry = member.entry
    if entry.method or entry.compressed_bytes != entry.size_bytes:
        refuse("compressed", "A zip member is compressed.")
    data = view[member.start : member.start + entry.size_bytes]
    if zlib.crc32(data) != entry.crc:
        refuse("checksum", "A zip member's CRC-32 does not match its bytes.")
    return data
