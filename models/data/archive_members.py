"""The images of a zip, as names and bytes. Nothing is extracted, and no name is ever a path."""

from __future__ import annotations

import re
import stat
import unicodedata
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

from models.checkpoints.codes import printable
from models.checkpoints.zip_profile import Entry, Member, locate_members, read_directory
from models.data.codes import data_rejection
from models.data.limits import ArchiveLimits, require_within

_IMAGE = re.compile(r".*\.(png|jpe?g)", re.IGNORECASE | re.DOTALL)
#: What operating systems, file servers and notebooks leave in folders, under whatever folder it lies. It is
#: passed over unread: as a folder of its own it would be a class, and shift the labels of all others.
_LITTER = re.compile(
    r"(.*/)?((__MACOSX|@eaDir|\.ipynb_checkpoints)/.*"
    r"|\._[^/]*|\.DS_Store|(eh)?thumbs\.db|desktop\.ini)",
    re.IGNORECASE,
)
_UNIX = 3


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """One image member."""

    parts: tuple[str, ...]
    """Its name, cut at the slashes."""
    member: Member

    @property
    def name(self) -> str:
        """Its name, safe to print."""
        return printable("/".join(self.parts))


def list_images(
    view: memoryview, limits: ArchiveLimits, *, member_bytes: int
) -> tuple[list[ArchivedImage], list[tuple[str, ...]]]:
    """List the images of a zip in the order of their names, and the folders that have entries of their own.

    Args:
        view: The whole file.
        limits: Bounds on number and ratio.
        member_bytes: Most bytes of one member.

    Raises:
        DataRejected: For a structure, a name or a member that has no place in an image archive.
    """
    entries, directory_at = read_directory(
        view, max_entries=limits.members, allow_zip64=False, refuse=_refuse
    )
    if entries and all(entry.name.endswith(b".npy") for entry in entries):  # NumPy writes them with zip64
        raise data_rejection("archive_member", "The file is a NumPy archive (npz), which is not read.")
    members = locate_members(view, entries, directory_at, refuse=_refuse)
    names = [_checked_name(member.entry) for member in members]
    _require_one_spelling(names)
    images: list[ArchivedImage] = []
    folders: list[tuple[str, ...]] = []
    for name, member in zip(names, members, strict=True):
        if _LITTER.fullmatch(name):
            continue
        if name.endswith("/") and not member.entry.size_bytes:
            folders.append(tuple(name.rstrip("/").split("/")))
            continue
        if not _IMAGE.fullmatch(name):
            raise data_rejection("archive_member", f"{printable(name)} is not a PNG or JPEG image.")
        _check_sizes(member.entry, name, limits, member_bytes)
        images.append(ArchivedImage(tuple(name.split("/")), member))
    return sorted(images, key=lambda image: image.parts), sorted(folders)


def read_image_bytes(view: memoryview, image: ArchivedImage) -> bytes:
    """Return one member's bytes, decompressed to exactly the declared size.

    Raises:
        DataRejected: ``archive_compression`` or ``archive_checksum``.
    """
    entry = image.member.entry
    data = bytes(view[image.member.start : image.member.start + entry.compressed_bytes])
    if entry.method == zlib.DEFLATED:
        data = _inflate(data, entry.size_bytes, image.name)
    if len(data) != entry.size_bytes:
        raise data_rejection(
            "archive_compression", f"{image.name} has not the size that the directory declares."
        )
    if zlib.crc32(data) != entry.crc:
        raise data_rejection("archive_checksum", f"{image.name} does not match its CRC-32.")
    return data


def _inflate(data: bytes, size_bytes: int, name: str) -> bytes:
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        made = machine.decompress(data, size_bytes + 1)
    except zlib.error:
        raise data_rejection("archive_compression", f"{name} cannot be decompressed.") from None
    if not machine.eof or machine.unused_data:
        raise data_rejection("archive_compression", f"{name} has not the size that the directory declares.")
    return made


def _checked_name(entry: Entry) -> str:
    try:
        name = entry.name.decode("utf-8")
    except UnicodeDecodeError:
        name = entry.name.decode("cp437")  # what zips without the UTF-8 flag use
    require_plain_name(name)
    mode = entry.attributes >> 16
    kind = stat.S_IFMT(mode) if entry.made_by >> 8 == _UNIX else 0
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise data_rejection("archive_member", f"{printable(name)} is a link or a device, not a file.")
    return name


def require_plain_name(name: str) -> None:
    """Refuse a member's name that is absolute, leaves its folder or cannot be printed.

    Raises:
        DataRejected: ``archive_name``.
    """
    parts = name.rstrip("/").split("/")
    drive = re.match(r"[A-Za-z]:", name)
    if not name.isprintable() or "\\" in name or drive or any(part in {"", ".", ".."} for part in parts):
        raise data_rejection("archive_name", f"A member has the name {printable(name)!r}.")


def _require_one_spelling(names: list[str]) -> None:
    """Refuse names, and folders in them, that some file system takes for one.

    Sorted, those that begin alike follow each other, so that each has to be compared with the next one only.
    """
    spelled = sorted((_folded(name), name.rstrip("/").split("/")) for name in names)
    for (folded, parts), (next_folded, next_parts) in pairwise(spelled):
        if folded == next_folded:
            shown = printable("/".join(next_parts))
            raise data_rejection("archive_duplicate_name", f"{shown} is in the archive twice.")
        for part, next_part, here, there in zip(parts, next_parts, folded, next_folded, strict=False):
            if here != there:
                break
            if part != next_part:
                raise data_rejection(
                    "archive_duplicate_name",
                    f"The folders {printable(part)} and {printable(next_part)} differ only in case, in "
                    "spaces or in the form of a letter.",
                )


def _folded(name: str) -> list[str]:
    """Return the parts of a name as the most tolerant file system compares them."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return [part.strip() for part in folded.rstrip("/").split("/")]


def _check_sizes(entry: Entry, name: str, limits: ArchiveLimits, member_bytes: int) -> None:
    if entry.method not in {0, zlib.DEFLATED}:
        raise data_rejection(
            "archive_compression", f"{printable(name)} uses compression method {entry.method}."
        )
    largest = max(entry.size_bytes, entry.compressed_bytes)
    require_within(largest, member_bytes, f"The size of {printable(name)} in bytes")
    require_within(
        entry.size_bytes,
        limits.ratio * max(entry.compressed_bytes, 1),
        f"The decompressed size of {printable(name)}",
    )


def _refuse(kind: str, detail: str) -> NoReturn:
    raise data_rejection("data_limit_exceeded" if kind == "limit" else f"archive_{kind}", detail)
