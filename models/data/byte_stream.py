"""The bytes of a file from front to back, plain or out of gzip, with a bound on how many there may be.

The gzip profile (RFC 1952) is what ``gzip`` and ``tarfile`` write: one member, at most a file name in its
header, nothing after it; size and CRC-32 must be right.
"""

from __future__ import annotations

import zlib
from typing import Protocol

from models.data.codes import data_rejection
from models.data.limits import ArchiveLimits, require_within

GZIP_SIGNATURE = b"\x1f\x8b"
_CHUNK = 64 * 1024
_DEFLATE, _HAS_NAME = 8, 0x08
_LONGEST_NAME = 255


class ByteStream(Protocol):
    """Bytes that can only be read once, in their order."""

    def read(self, count: int) -> bytes:
        """Return at least one and at most ``count`` bytes; none at the end."""


def open_stream(view: memoryview, limits: ArchiveLimits) -> ByteStream:
    """Return the content of a file that may be in gzip.

    Args:
        view: The whole file.
        limits: ``ratio`` and ``decoded_bytes`` bound what comes out of gzip.

    Raises:
        DataRejected: ``archive_malformed``, for another gzip header than the usual one.
    """
    return _Gzip(view, limits) if bytes(view[:2]) == GZIP_SIGNATURE else _Plain(view)


def read_exactly(stream: ByteStream, count: int) -> bytes:
    """Read ``count`` bytes.

    Raises:
        DataRejected: ``archive_truncated``.
    """
    parts: list[bytes] = []
    while count:
        part = stream.read(count)
        if not part:
            raise data_rejection("archive_truncated", "The archive ends in the middle of a member.")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class _Plain:
    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def read(self, count: int) -> bytes:
        part = bytes(self._view[self._at : self._at + count])
        self._at += len(part)
        return part


class _Gzip:
    def __init__(self, view: memoryview, limits: ArchiveLimits) -> None:
        self._view = view
        self._at = _header_end(view)
        self._most = min(limits.decoded_bytes, limits.ratio * len(view))
        self._machine = zlib.decompressobj(-zlib.MAX_WBITS)
        self._waiting = b""
        self._made = 0
        self._crc = 0
        self._over = False

    def read(self, count: int) -> bytes:
        while not self._over:
            part = self._inflate(min(count, _CHUNK * 16))
            if part:
                self._made += len(part)
                self._crc = zlib.crc32(part, self._crc)
                require_within(self._made, self._most, "The decompressed size of the gzip file in bytes")
                return part
            if self._machine.eof:
                self._check_end()
        return b""

    def _inflate(self, count: int) -> bytes:
        """Decompress up to ``count`` bytes; none when the input so far holds no more."""
        if self._machine.eof:
            return b""
        if not self._waiting:
            self._waiting = bytes(self._view[self._at : self._at + _CHUNK])
            self._at += len(self._waiting)
        ended = not self._waiting
        try:
            part = self._machine.decompress(self._waiting, count)
        except zlib.error:
            raise data_rejection("archive_compression", "The gzip file cannot be decompressed.") from None
        self._waiting = self._machine.unconsumed_tail
        if ended and not part and not self._machine.eof:
            raise data_rejection("archive_truncated", "The gzip file ends too early.")
        return part

    def _check_end(self) -> None:
        self._over = True
        at = self._at - len(self._machine.unused_data)
        trailer = bytes(self._view[at : at + 8])
        if len(trailer) < 8:
            raise data_rejection("archive_truncated", "The gzip file ends too early.")
        if at + 8 != len(self._view):
            raise data_rejection("archive_malformed", "Bytes follow the end of the gzip file.")
        expected = self._crc.to_bytes(4, "little") + (self._made % 2**32).to_bytes(4, "little")
        if trailer != expected:
            raise data_rejection("archive_checksum", "The gzip file's CRC-32 or size is wrong.")


def _header_end(view: memoryview) -> int:
    """Check the header and pass over it; the name in it is not looked at."""
    header = bytes(view[: 10 + _LONGEST_NAME + 1])
    if len(header) < 10:
        raise data_rejection("archive_truncated", "The gzip file ends too early.")
    method, flags = header[2], header[3]
    if method != _DEFLATE or flags & ~_HAS_NAME:
        raise data_rejection("archive_malformed", "The gzip header is not the one that gzip writes.")
    if not flags:
        return 10
    end = header.find(b"\0", 10)
    if end < 0:
        raise data_rejection("archive_malformed", "The gzip header holds a name that is too long.")
    return end + 1
