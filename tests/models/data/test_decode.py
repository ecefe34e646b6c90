"""Images that a decoder would take and nobody should: cut off, damaged, stuffed, of more bits."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from models.data.decode import Pixels, decode_image
from models.data.png_file import PNG_SIGNATURE, DamagedPng, read_png
from models.errors import DataRejected

SIDE = 32
PIXELS = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
ROWS = b"".join(b"\0" + row.tobytes() for row in PIXELS)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(depth: int = 8, color_type: int = 2, side: int = SIDE) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, color_type, 0, 0, 0))


END = chunk(b"IEND", b"")


def png(rows: bytes = ROWS, *, before: Sequence[bytes] = (header(),), after: bytes = END) -> bytes:
    return PNG_SIGNATURE + b"".join(before) + chunk(b"IDAT", zlib.compress(rows)) + after


def decoded(data: bytes) -> Pixels:
    return decode_image(data, "it", shortest_side=8, longest_side=64)


def refused(data: bytes) -> str:
    with pytest.raises(DataRejected) as caught:
        decoded(data)
    assert caught.value.code == "image_unreadable"
    return caught.value.detail


def saved(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    return buffer.getvalue()


def test_a_whole_one_is_taken_as_it_is() -> None:
    assert np.array_equal(decoded(png()), PIXELS)
    assert np.array_equal(decoded(png() + b"behind"), PIXELS)


def test_rows_that_are_missing_are_not_black_ones() -> None:
    """A stream that ends in order after half of the rows was taken, its other half black."""
    assert "not all of its rows are there" in refused(png(ROWS[: len(ROWS) // 2]))
    broken = PNG_SIGNATURE + header() + chunk(b"IDAT", b"no stream") + END
    assert "not all of its rows" in refused(broken)


@pytest.mark.parametrize(
    "data",
    [
        png(after=b""),
        png(after=END[:-2]),
        png(after=b"\0\0"),
        png().replace(b"IDAT", b"IDAU"),
        PNG_SIGNATURE + header() + END,
        png(before=()),
        png(before=(header(), header())),
        png(before=(chunk(b"IHDR", b"short"),)),
        png(before=(header(depth=3),)),
        png(before=(header(color_type=1),)),
        png(bytes(SIDE * (SIDE + 1)), before=(header(color_type=3),)),
        png(before=(header(), *[chunk(b"aaAa", b"")] * 20_000)),
    ],
    ids=[
        "no end", "cut end", "stray end", "checksum", "no pixels", "no header", "two headers", "short header",
        "three bits", "no such color", "no palette", "all chunks",
    ],
)  # fmt: skip
def test_a_file_that_breaks_the_format_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedPng):
        read_png(data)
    assert refused(data) == "it cannot be decoded as PNG or JPEG."


def test_compressed_text_is_never_unpacked() -> None:
    """A thousand small images with 60 MiB of packed text each held a worker for three minutes."""
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 20)))
    stuffed = png(before=(header(), text))
    assert np.array_equal(decoded(stuffed), PIXELS)
    assert read_png(stuffed).plain == png()


def test_an_animation_stays_refused_when_its_frames_are_left_out() -> None:
    frame = Image.fromarray(PIXELS)
    moving = saved(frame, save_all=True, append_images=[frame.transpose(Image.Transpose.ROTATE_90)])
    assert "more than one picture" in refused(moving)


@pytest.mark.parametrize("color_type", [0, 2, 4, 6])
def test_sixteen_bits_are_refused_in_color_too(color_type: int) -> None:
    """Of gray they were; of colors the lower eight were dropped without a word."""
    wide = {0: 1, 2: 3, 4: 2, 6: 4}[color_type] * 2 * SIDE + 1
    assert "more than 8 bits" in refused(png(bytes(SIDE * wide), before=(header(16, color_type),)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("side", [8, 13, 33])
def test_every_kind_of_whole_image_is_whole(mode: str, side: int) -> None:
    picture = Image.fromarray(PIXELS).resize((side, side)).convert(mode)
    data = saved(picture, pnginfo=PngImagePlugin.PngInfo())
    assert read_png(data).is_whole
    assert np.array_equal(decoded(data), np.asarray(picture.convert("RGB")))


def test_rows_of_an_interlaced_image_are_counted_pass_by_pass() -> None:
    """Adam7 of 5 x 5 pixels in gray: 1, 1, 2 x 1, 1 x 2, 3 x 1, 2 x 3 and 5 x 2, and a filter a row."""
    body = struct.pack(">IIBBBBB", 5, 5, 8, 0, 0, 0, 1)
    wanted = (1 + 1) + (1 + 1) + 1 * (2 + 1) + 2 * (1 + 1) + 1 * (3 + 1) + 3 * (2 + 1) + 2 * (5 + 1)
    for missing in (0, 1):
        data = png(bytes(wanted - missing), before=(chunk(b"IHDR", body),))
        assert read_png(data).is_whole is (not missing)
    tiny = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 1)
    assert read_png(png(bytes(2), before=(chunk(b"IHDR", tiny),))).is_whole
