"""Image archives that lie, explode or hide something."""

from __future__ import annotations

import io
import random
import stat
import struct
import zipfile

import numpy as np
from PIL import Image

from tests.hostile.catalog import hostile
from tests.hostile.craft import (
    CENTRAL,
    END,
    LOCAL,
    flipped,
    good_png,
    patched,
    png,
    with_zip64,
    zip_of,
)


def classes(chance: random.Random, **more: bytes) -> dict[str, bytes]:
    """Members of an honest archive of two classes, and more."""
    honest = {f"{name}/{index}.png": good_png(chance) for name in ("cat", "dog") for index in range(2)}
    return honest | more


def good_archive(chance: random.Random) -> bytes:
    """An honest archive of two classes."""
    return zip_of(classes(chance))


def with_image(chance: random.Random, content: bytes, name: str = "dog/x.png") -> bytes:
    """An honest archive with one more image."""
    return zip_of(classes(chance) | {name: content})


@hostile("archive_name", kind="archive")
def image_path(chance: random.Random) -> bytes:
    """A member's name that is a path, a drive or a terminal's escape."""
    names = [
        "/etc/a.png",
        "../a.png",
        "a/../b.png",
        "a\\b.png",
        "C:/a.png",
        "a\x1b[2J.png",
        "./a.png",
        "a//b.png",
        "a/\u202egnp.exe.png",
    ]
    return with_image(chance, good_png(chance), chance.choice(names))


@hostile("archive_duplicate_name", kind="archive")
def image_same_name(chance: random.Random) -> bytes:
    """Two names that are one on some file system."""
    first, second = chance.choice(
        [("dog/A.png", "dog/a.PNG"), ("dog/\u00e9.png", "dog/e\u0301.png"), ("dog/\u00df.png", "dog/ss.png")]
    )
    return zip_of({first: good_png(chance), second: good_png(chance)})


@hostile("archive_member", kind="archive")
def image_other_file(chance: random.Random) -> bytes:
    """A member that is no image: another archive, a script, a page."""
    name = chance.choice(["a.zip", "a.svg", "run.sh", "a.png.exe", "labels.csv", "a.gif", "cat/a.webp"])
    return with_image(chance, good_archive(chance), name)


@hostile("archive_member", kind="archive")
def image_link(chance: random.Random) -> bytes:
    """A symbolic link, a pipe or a device."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("cat/a.png")
        link.create_system = 3
        link.external_attr = (
            chance.choice([stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFSOCK]) | 0o777
        ) << 16
        archive.writestr(link, "/etc/passwd")
    return out.getvalue()


@hostile("archive_encrypted", kind="archive")
def image_encrypted(chance: random.Random) -> bytes:
    """A flag that asks for a password."""
    content = good_archive(chance)
    return patched(content, content.find(CENTRAL) + 8, "<H", chance.choice([1, 0x40, 0x2000]))


@hostile("archive_compression", kind="archive")
def image_method(chance: random.Random) -> bytes:
    """LZMA or bzip2 inside, or a method nobody knows."""
    if chance.random() < 0.5:
        return zip_of(classes(chance), chance.choice([zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2]))
    content = good_archive(chance)
    method = chance.choice([1, 9, 95, 99])
    return patched(patched(content, content.find(CENTRAL) + 10, "<H", method), 8, "<H", method)


@hostile("archive_compression", kind="archive")
def image_bad_stream(chance: random.Random) -> bytes:
    """A member that cannot be decompressed, goes on after its end, or is shorter than declared."""
    content = zip_of({"a/a.png": chance.randbytes(500) * 2, "b/b.png": b""}, zipfile.ZIP_DEFLATED)
    if chance.random() < 0.5:  # the first block's type becomes the reserved one, or its data change
        return patched(content, content.find(b"a/a.png") + 7, "<B", chance.choice([0x07, 0xFF]))
    stored = zip_of({"a/a.png": bytes(1000), "b/b.png": b""})
    size = chance.randint(0, 999)
    return patched(patched(stored, 22, "<L", size), stored.find(CENTRAL) + 24, "<L", size)


@hostile("archive_compression", kind="archive")
def image_false_size(chance: random.Random) -> bytes:
    """A bomb that declares itself small."""
    bomb = bytes(chance.randint(2 * 10**6, 10**7))
    content = zip_of({"a/a.png": bomb} | classes(chance), zipfile.ZIP_DEFLATED)
    size = len(bomb) // chance.randint(1100, 2000) * 40
    return patched(patched(content, 22, "<L", size), content.find(CENTRAL) + 24, "<L", size)


@hostile("data_limit_exceeded", kind="archive")
def image_bomb(chance: random.Random) -> bytes:
    """Zeros that become a hundred times as long, or are said to become gigabytes."""
    content = zip_of({"a/a.png": bytes(chance.randint(10**6, 10**7))}, zipfile.ZIP_DEFLATED)
    if chance.random() < 0.5:
        return content
    size = chance.randint(2**30, 2**32 - 2)
    return patched(patched(content, 22, "<L", size), content.find(CENTRAL) + 24, "<L", size)


@hostile("archive_malformed", kind="archive")
def image_zip64(chance: random.Random) -> bytes:
    """The zip64 extension, in one image or in an end record of 281 TB."""
    if chance.random() < 0.5:
        return with_zip64(good_archive(chance), 2**48)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("cat/a.png", "w", force_zip64=True) as member:
        member.write(good_png(chance))
    return out.getvalue()


@hostile("archive_overlap", kind="archive")
def image_quine(chance: random.Random) -> bytes:
    """Many entries for the same bytes, which is how 46 MB become 4.5 PB."""
    content = good_archive(chance)
    return patched(content, content.rfind(CENTRAL) + 42, "<L", chance.choice([0, 1]))


@hostile("archive_truncated", kind="archive")
def image_archive_cut(chance: random.Random) -> bytes:
    """The beginning of an honest archive, or an honest archive and something behind it."""
    content = good_archive(chance)
    return chance.choice(
        [content[: chance.randrange(4, len(content))], content + chance.randbytes(chance.randint(1, 99))]
    )


@hostile("archive_malformed", kind="archive")
def image_archive_head(chance: random.Random) -> bytes:
    """Something that starts like a zip before the zip."""
    return LOCAL + chance.randbytes(chance.randint(0, 40)) + good_archive(chance)


@hostile("archive_malformed", kind="archive")
def image_archive_lies(chance: random.Random) -> bytes:
    """An end record or a header that lies."""
    content = good_archive(chance)
    end = content.rfind(END)
    at, form = chance.choice(
        [(end + 4, "<H"), (end + 8, "<H"), (end + 12, "<L"), (end + 16, "<L"), (14, "<L"), (26, "<H")]
    )
    return patched(content, at, form, struct.unpack_from(form, content, at)[0] + chance.randint(1, 9))


@hostile("archive_checksum", kind="archive")
def image_flipped(chance: random.Random) -> bytes:
    """One bit of one image."""
    content = good_archive(chance)
    start = content.find(b"\x89PNG")
    return flipped(content, chance, start, start + 60)


@hostile("data_limit_exceeded", kind="archive")
def image_pixel_flood(chance: random.Random) -> bytes:
    """A small file that says it has up to 10^19 pixels."""
    width, height = chance.choice([(5000, 5000), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1)])
    return with_image(chance, png(width, height, pixels=bytes(1000)))


@hostile("data_limit_exceeded", kind="archive")
def image_scans(chance: random.Random) -> bytes:
    """A JPEG of thousands of passes over its pixels: 64 kB would cost two seconds, 2 MiB a minute."""
    out = io.BytesIO()
    Image.fromarray(np.full((1024, 1024), 128, np.uint8)).save(out, "JPEG", progressive=True, quality=30)
    content = out.getvalue()[:-2]
    scan = content[content.rfind(b"\xff\xda") :]
    return with_image(chance, content + scan * chance.randint(200, 50_000) + b"\xff\xd9", "dog/x.jpg")


@hostile("image_unreadable", kind="archive")
def image_broken(chance: random.Random) -> bytes:
    """Images cut short, of too many bits, of another kind or none."""
    whole = good_png(chance, 64)
    deep = png(8, 8, bits=16, color=0, pixels=bytes(1000))
    gif = io.BytesIO()
    Image.new("RGB", (8, 8)).save(gif, "GIF")
    wrong = [
        whole[: chance.randrange(10, len(whole) // 2)],
        deep,
        gif.getvalue(),
        b"",
        b"<svg/>",
        chance.randbytes(100),
    ]
    return with_image(chance, chance.choice(wrong))


@hostile("image_unreadable", kind="archive")
def image_half_there(chance: random.Random) -> bytes:
    """A PNG whose stream ends in order, but before its last rows: decoders paint those black."""
    return with_image(chance, png(8, 8, pixels=(b"\0" + bytes(24)) * chance.randint(0, 7)))


@hostile("image_unreadable", kind="archive")
def image_animated(chance: random.Random) -> bytes:
    """A PNG of thousands of frames."""
    out = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (index % 256, 0, 0)) for index in range(chance.randint(2, 50))]
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    return with_image(chance, out.getvalue())


@hostile("data_format_unknown", kind="archive")
def archive_of_another_kind(chance: random.Random) -> bytes:
    """A picture format that is not read, a program, or a page in front of an honest archive."""
    head = chance.choice(
        [b"%PDF-1.7\n", b"\x7fELF", b"MZ", b"GIF89a", b"<html>", b"RIFF\x00\x00\x00\x00WEBP"]
    )
    return head + good_archive(chance)


@hostile("single_image", kind="archive")
def archive_polyglot(chance: random.Random) -> bytes:
    """An honest image with an honest archive behind it."""
    return good_png(chance) + good_archive(chance)


@hostile("archive_layout", kind="archive")
def image_depths(chance: random.Random) -> bytes:
    """Class folders inside class folders."""
    return zip_of(classes(chance) | {f"dog/{'deep/' * chance.randint(1, 50)}x.png": good_png(chance)})
