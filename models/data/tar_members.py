"""The files of a tar, one after another. Nothing is extracted, and no name is ever a path.

The profile is what ``tar`` writes for a folder of plain files: ustar or old GNU headers, regular files and
folders, octal numbers, right checksums, zeros after the end. Links, devices, sparse files, long-name
records and pax headers, which can change the meaning of what follows, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from models.checkpoints.codes import printable
from models.data.archive_members import require_plain_name
from models.data.byte_stream import ByteStream, read_exactly
from models.data.codes import data_rejection
from models.data.limits import ArchiveLimits, require_within

_BLOCK = 512
_CHUNK = 1024 * 1024
_ZEROS = bytes(_BLOCK)
#: Writers fill the last record, of 10,240 bytes by default, with zeros.
_MOST_PADDING = 64 * 1024
_MAGICS = frozenset({b"ustar\x0000", b"ustar  \x00"})
_OCTAL = re.compile(rb" *([0-7]+)[ \0]+")
_FILE_KINDS, _FOLDER_KIND = frozenset({b"0", b"\0"}), b"5"


def is_tar(head: bytes) -> bool:
    """Whether a file's first 512 bytes are a header of the profile."""
    return head[257:265] in _MAGICS


def read_files(
    stream: ByteStream, limits: ArchiveLimits, *, wanted: Callable[[str], bool]
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the wanted files, in the order of the archive.

    Args:
        stream: The tar.
        limits: ``tar_members`` and ``decoded_bytes`` bound number and sizes.
        wanted: Whether a file is kept; it may refuse a name by raising. The others are passed over.

    Raises:
        DataRejected: ``archive_*`` or ``data_limit_exceeded``.
    """
    seen: set[str] = set()
    total = 0
    while (header := read_exactly(stream, _BLOCK)) != _ZEROS:
        if not seen and not is_tar(header):
            raise data_rejection("archive_not_cifar", "What was compressed is not a tar archive.")
        name, size_bytes, is_folder = _read_header(header)
        folded = name.casefold().rstrip("/")
        if folded in seen:
            raise data_rejection("archive_duplicate_name", f"{printable(name)} is in the archive twice.")
        seen.add(folded)
        require_within(len(seen), limits.tar_members, "The number of members of the tar")
        total += size_bytes
        require_within(total, limits.decoded_bytes, "The size of all files in the tar, in bytes,")
        keep = not is_folder and wanted(name)
        content = _read_content(stream, size_bytes, keep=keep)
        if keep:
            yield name, content
    _read_end(stream)


def _read_header(header: bytes) -> tuple[str, int, bool]:
    if not is_tar(header):
        raise data_rejection("archive_malformed", "A member's header is not one of ustar or GNU tar.")
    if _number(header[148:156]) != sum(header[:148]) + 8 * ord(" ") + sum(header[156:]):
        raise data_rejection("archive_checksum", "The checksum of a member's header is wrong.")
    raw = _text(header[:100])
    if header[257:265] == b"ustar\x0000" and header[345]:
        raw = _text(header[345:500]) + b"/" + raw
    name = raw.decode("utf-8", "replace")
    kind = header[156:157]
    if kind not in _FILE_KINDS and kind != _FOLDER_KIND:
        raise data_rejection("archive_member", f"{printable(name)} is neither a plain file nor a folder.")
    require_plain_name(name)
    size_bytes, is_folder = _number(header[124:136]), kind == _FOLDER_KIND
    if (is_folder and size_bytes) or (name.endswith("/") and not is_folder):
        raise data_rejection("archive_malformed", f"{printable(name)} is a folder and a file at once.")
    return name, size_bytes, is_folder


def _text(field: bytes) -> bytes:
    """Return a field up to its first NUL, after which only NULs may come."""
    text, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise data_rejection("archive_malformed", "Bytes are hidden behind the end of a member's name.")
    return text


def _number(field: bytes) -> int:
    found = _OCTAL.fullmatch(field)
    if found is None:
        raise data_rejection("archive_malformed", "A number in a member's header is not octal.")
    return int(found[1], 8)


def _read_content(stream: ByteStream, size_bytes: int, *, keep: bool) -> bytes:
    if keep:
        content = read_exactly(stream, size_bytes)
    else:
        content = b""
        for start in range(0, size_bytes, _CHUNK):
            read_exactly(stream, min(_CHUNK, size_bytes - start))
    if read_exactly(stream, -size_bytes % _BLOCK).strip(b"\0"):
        raise data_rejection("archive_malformed", "Bytes are hidden behind the end of a member.")
    return content


def _read_end(stream: ByteStream) -> None:
    """Read what follows the first block of zeros: another one, and zeros up to the end of the record."""
    if read_exactly(stream, _BLOCK) != _ZEROS:
        raise data_rejection("archive_malformed", "The tar's end mark is followed by something else.")
    padding = 0
    while part := stream.read(_MOST_PADDING):
        padding += len(part)
        if part.strip(b"\0") or padding > _MOST_PADDING:
            raise data_rejection("archive_malformed", "Bytes follow the end of the tar.")
