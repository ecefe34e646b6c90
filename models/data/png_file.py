"""What a PNG is made of, before a decoder sees it.

Pillow reads on where a file is damaged: rows that are missing come out black, and a wrong checksum is nothing
to it. It also unpacks compressed text, up to 64 MiB of an image of a few pixels, which no limit on
sizes counts. So chunks are walked here, checksums compared, and all but those that make pixels left out.
Source: PNG specification, third edition, sections 5 and 8.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: Chunks that make pixels. Gamma and profiles do not: they say how a screen should show them.
_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
#: Encoders write an IDAT for every 8 KiB or more: 20 MiB are 2,560.
_MOST_CHUNKS = 20_000
_PALETTE = 3
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: Adam7: first column and row of each pass, and the steps between.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


class DamagedPng(ValueError):
    """The file breaks the format."""


@dataclass(frozen=True, slots=True)
class PngFile:
    """One PNG whose checksums hold."""

    plain: bytes
    """The file with nothing in it but its pixels."""
    packed: bytes
    """The pixels' zlib stream."""
    width: int
    height: int
    depth: int
    """Bits a sample."""
    color_type: int
    interlaced: bool
    animated: bool

    @property
    def is_whole(self) -> bool:
        """Whether the stream holds all rows; unpacks at most as many bytes as they have."""
        wanted = self._bytes()
        try:
            return len(zlib.decompressobj().decompress(self.packed, wanted)) == wanted
        except zlib.error:
            return False

    def _bytes(self) -> int:
        """Count the bytes of all rows, each with its filter's."""
        bits = _SAMPLES[self.color_type] * self.depth
        passes = _PASSES if self.interlaced else ((0, 0, 1, 1),)
        total = 0
        for column, row, across, down in passes:
            width, height = -(-(self.width - column) // across), -(-(self.height - row) // down)
            if width > 0 and height > 0:
                total += height * (1 + -(-width * bits // 8))
        return total


def read_png(data: bytes) -> PngFile:
    """Walk the chunks of a PNG; no pixel is unpacked.

    Args:
        data: The whole file; begins with ``PNG_SIGNATURE``. What lies behind IEND is ignored.

    Raises:
        DamagedPng: A chunk is cut off or has a wrong checksum, or IHDR, IDAT or IEND is missing or wrong.
    """
    kept, packed, animated = [PNG_SIGNATURE], [], False
    header, place, kind = b"", len(PNG_SIGNATURE), b""
    for _ in range(_MOST_CHUNKS):
        kind, body, end = _chunk(data, place)
        if (kind == b"IHDR") == bool(header):
            raise DamagedPng("IHDR is not the first chunk, or there are two")
        header = header or body
        animated = animated or kind == b"acTL"
        if kind in _KEPT:
            kept.append(data[place:end])
        if kind == b"IDAT":
            packed.append(body)
        if kind == b"IEND":
            break
        place = end
    if kind != b"IEND" or not packed or len(header) != 13:
        raise DamagedPng("IHDR, IDAT or IEND is missing")
    width, height, depth, color_type, _, _, interlace = struct.unpack(">IIBBBBB", header)
    if color_type not in _SAMPLES or depth not in {1, 2, 4, 8, 16}:
        raise DamagedPng("no such kind of pixels")
    if color_type == _PALETTE and not any(chunk[4:8] == b"PLTE" for chunk in kept):
        raise DamagedPng("its palette is missing")
    return PngFile(
        b"".join(kept), b"".join(packed), width, height, depth, color_type, bool(interlace), animated
    )


def _chunk(data: bytes, place: int) -> tuple[bytes, bytes, int]:
    """Return a chunk's name, its body, and where the next one begins."""
    begin = place + 8
    if begin > len(data):
        raise DamagedPng("cut off")
    end = begin + int.from_bytes(data[place : place + 4])
    if end + 4 > len(data):
        raise DamagedPng("cut off")
    if zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4]):
        raise DamagedPng("a checksum is wrong")
    return data[place + 4 : begin], data[begin:end], end + 4
