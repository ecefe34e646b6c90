"""Archives that mean harm or are damaged: each is refused with its own code, and nothing is left behind."""

from __future__ import annotations

import io
import stat
import struct
import time
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image


def picture(
    value: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB", form: str = "PNG", **options
) -> bytes:
    out = io.BytesIO()
    width, height = size
    pixels = np.random.default_rng(value).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(out, form, **options)
    return out.getvalue()


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return out.getvalue()


ONE = picture()
NAMES = {
    "absolute": "/etc/a.png",
    "parent": "../a.png",
    "inner_parent": "a/../b.png",
    "backslash": "a\\b.png",
    "drive": "C:/a.png",
    "control": "a\x1b.png",
    "current": "./a.png",
    "empty_part": "a//b.png",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_names_that_could_be_paths_are_refused(name: str, refused) -> None:
    assert refused(archive({name: ONE}), "clean_unlabelled").code == "archive_name"


@pytest.mark.parametrize(
    ("first", "second"), [("a.png", "A.PNG"), ("é.png", "e\u0301.png"), ("x.png/", "x.png")]
)
def test_names_equal_on_some_file_system_are_refused(first: str, second: str, refused) -> None:
    members = {first: b"" if first.endswith("/") else ONE, second: ONE}
    assert refused(archive(members), "clean_unlabelled").code == "archive_duplicate_name"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Cat/a.png", "cat/b.png"),
        ("caf\u00e9/a.png", "cafe\u0301/b.png"),
        ("cat/a.png", "cat /b.png"),
        ("stra\u00dfe/a.png", "STRASSE/b.png"),
        ("data/cat/a.png", "Data/dog/b.png"),
        ("data/cat/a.png", "data/CAT/b.png"),
        ("Cat/", "cat/b.png"),
    ],
)
def test_folders_equal_on_some_file_system_are_refused(first: str, second: str, refused) -> None:
    """They would be two classes here, and one wherever the archive is unpacked."""
    others = {f"{folder}/1.png": ONE for folder in ("bee", "catfish", "cat-2", "zebra")}
    members = {first: b"" if first.endswith("/") else ONE, **others, second: ONE}
    error = refused(archive(members), "clean_labelled")
    assert error.code == "archive_duplicate_name"
    assert "differ only" in error.detail


def test_folders_that_begin_alike_are_folders_of_their_own(inspect) -> None:
    names = ["Cat", "Cat fish", "cats", "dog", "dogs", "Dogma"]
    members = {f"{name}/": b"" for name in names}
    members |= {f"{name}/{number}.png": picture(number) for number in range(2) for name in names}
    assert inspect(archive(members)).classes == tuple(sorted(names))


def test_names_without_the_unicode_flag_are_read_as_zip_tools_write_them(inspect) -> None:
    content = archive({"m\u00fcll/a.png": ONE, "x/b.png": ONE})
    old = content.replace(
        "m\u00fcll".encode(), b"m\x81zll"
    )  # a u with dots in code page 437, as long as in UTF-8
    assert inspect(old).classes == ("m\u00fczll", "x")


@pytest.mark.parametrize("name", ["a.zip", "a.svg", "readme.txt", "a.png.exe", "labels.csv", "a.gif"])
def test_members_that_are_no_images_are_named(name: str, refused) -> None:
    error = refused(archive({"a.png": ONE, name: b"x"}), "clean_unlabelled")
    assert error.code == "archive_member"
    assert name in error.detail


def test_numpy_archives_are_named(refused) -> None:
    """They were refused for an extra field, and their makers told to use an ordinary tool."""
    out = io.BytesIO()
    np.savez(out, images=np.zeros((2, 8, 8, 3), np.uint8), labels=np.array([{}], object))
    error = refused(out.getvalue())
    assert error.code == "archive_member"
    assert "npz" in error.detail


def test_links_are_refused(refused) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        link = zipfile.ZipInfo("a.png")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
    assert refused(out.getvalue(), "clean_unlabelled").code == "archive_member"


def _gif() -> bytes:
    return picture(form="GIF")


def _animated() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    return out.getvalue()


def _deep() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(out, "PNG")
    return out.getvalue()


BAD_IMAGES = {
    "truncated_png": (picture(size=(64, 64))[:-500], "image_unreadable"),
    "truncated_jpeg": (picture(size=(64, 64), form="JPEG")[:-500], "image_unreadable"),
    "gif": (_gif(), "image_unreadable"),
    "text": (b"not an image", "image_unreadable"),
    "empty": (b"", "image_unreadable"),
    "animated": (_animated(), "image_unreadable"),
    "sixteen_bits": (_deep(), "image_unreadable"),
    "too_wide": (picture(size=(1025, 8)), "data_limit_exceeded"),
    "too_small": (picture(size=(7, 8)), "data_limit_exceeded"),
}


@pytest.mark.parametrize(("content", "code"), BAD_IMAGES.values(), ids=BAD_IMAGES.keys())
def test_one_bad_image_refuses_the_archive_and_is_named(content: bytes, code: str, refused) -> None:
    error = refused(archive({"cat/good.png": ONE, "dog/bad.png": content}))
    assert error.code == code
    assert "dog/bad.png" in error.detail


@pytest.mark.parametrize("side", [5_000, 60_000])
def test_a_pixel_flood_is_refused_before_it_is_decoded(side: int, refused) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = chunk(b"IHDR", struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0))
    flood = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    start = time.process_time()
    assert refused(archive({"a.png": flood}), "clean_unlabelled").code == "data_limit_exceeded"
    assert time.process_time() - start < 0.5


def test_a_bomb_is_refused_by_its_declared_size(refused) -> None:
    assert (
        refused(archive({"a.png": bytes(10**8)}, zipfile.ZIP_DEFLATED), "surrogate").code
        == "data_limit_exceeded"
    )


def test_a_bomb_with_a_false_size_is_refused(refused) -> None:
    content = bytearray(archive({"a.png": bytes(10**6)}, zipfile.ZIP_DEFLATED))
    struct.pack_into("<L", content, 22, 1000)
    struct.pack_into("<L", content, content.find(b"PK\x01\x02") + 24, 1000)
    assert refused(bytes(content), "clean_unlabelled").code == "archive_compression"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda content: content[:-1], "archive_truncated"),
        (lambda content: content + b"x", "archive_truncated"),
        (lambda content: b"PK\x03\x04" + content, "archive_malformed"),
        (lambda content: content.replace(ONE[20:30], bytes(10)), "archive_checksum"),
        (lambda content: content.replace(b"a.png", b"b.png", 1), "archive_malformed"),
        (
            lambda content: content.replace(
                b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
            ),
            "archive_encrypted",
        ),
    ],
    ids=["cut", "tail", "head", "flipped", "renamed", "encrypted"],
)
def test_damaged_archives_are_refused(change, code: str, refused) -> None:
    assert refused(change(archive({"a.png": ONE})), "clean_unlabelled").code == code


def test_other_compression_methods_are_refused(refused) -> None:
    assert (
        refused(archive({"a.png": ONE}, zipfile.ZIP_LZMA), "clean_unlabelled").code == "archive_compression"
    )
