"""Files that are tar archives too: ``torch.load`` tries tar before it reads a pickle."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Callable

import pytest

from models.checkpoints import recognize
from models.checkpoints.scan import scan_checkpoint
from tests.hostile.craft import FOUR_ONES, A, described, safetensors

MAGIC = b"ustar\x0000"
Sum = Callable[[bytes], int]


def signed(block: bytes) -> int:
    return sum(struct.unpack(f"{len(block)}b", block))


def octal(number: int) -> bytes:
    return b"%06o\0 " % number


def with_checksum(content: bytes, total: Sum, form: Callable[[int], bytes] = octal) -> bytes:
    checked = content[:148] + b" " * 8 + content[156:512]
    return content[:148] + form(total(checked)) + content[156:]


def legacy(magic: bytes, total: Sum = sum, form: Callable[[int], bytes] = octal) -> bytes:
    """A legacy checkpoint whose first 512 bytes lie in a string that no state dict needs: a tar header."""
    pickles = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."
    pickles += b"\x80\x02}" + A.text("little_endian") + b"\x88s.\x80\x02}("
    entry = pickles + A.text("x") + b"B"
    start = entry + struct.pack("<I", 512 - len(entry) - 4)
    assert len(start) <= 100
    header = bytearray(start.ljust(512, b"\0"))
    for at, field in ((100, b"0000644\0"), (108, b"0000000\0"), (116, b"0000000\0"), (156, b"0")):
        header[at : at + len(field)] = field
    header[124:136], header[136:148] = b"00000000000\0", b"00000000000\0"
    header[257 : 257 + len(magic)] = magic
    weights = A.text("state_dict") + b"}" + A.text("w") + A.tensor() + b"su."
    keys = b"\x80\x02]" + A.text("0") + b"a."
    return with_checksum(bytes(header), total, form) + weights + keys + struct.pack("<q", 4) + FOUR_ONES


def is_tar(content: bytes) -> bool:
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:", format=tarfile.PAX_FORMAT):
            return True
    except tarfile.TarError:
        return False


@pytest.mark.parametrize("magic", [MAGIC, b"ustar  \0", b""], ids=["posix", "gnu", "old"])
@pytest.mark.parametrize("total", [sum, signed], ids=["unsigned", "signed"])
def test_a_legacy_file_that_is_a_tar_too_is_refused(magic: bytes, total: Sum, refused) -> None:
    content = legacy(magic, total)
    assert is_tar(content)
    error = refused(content)
    assert error.code == "unsupported_format"
    assert "tar archive" in error.detail


@pytest.mark.parametrize(
    "form",
    [
        lambda number: b"\x80" + number.to_bytes(7, "big"),
        lambda number: b"%08o" % number,
        lambda number: b"  %o" % number + b"\0" * (6 - len(b"%o" % number)),
    ],
    ids=["base256", "without_end", "blanks"],
)
def test_a_checksum_is_read_in_every_form_that_tarfile_reads(form, refused) -> None:
    content = legacy(b"", sum, form)
    assert is_tar(content)
    assert refused(content).code == "unsupported_format"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda _: bytes(8),
        lambda _: b" " * 8,
        lambda number: octal(number + 1),
        lambda _: b"0000009\0",
        lambda _: b"\xc3\xa4\0\0\0\0\0\0",
        lambda _: b"\xff" * 8,
    ],
    ids=["empty", "blank", "other", "digit_nine", "no_ascii", "negative"],
)
def test_without_a_checksum_it_is_no_tar_and_read(wrong, write) -> None:
    content = legacy(b"", sum, wrong)
    assert not is_tar(content)
    assert scan_checkpoint(write(content)).tensors["w"].array.tolist() == [1, 1, 1, 1]


def test_a_negative_checksum_counts() -> None:
    block = with_checksum(b"\x80\x02" + b"\xff" * 510, signed, lambda n: (256**8 + n).to_bytes(8, "big"))
    assert is_tar(block) and recognize._starts_tar(block)


def test_a_short_file_is_no_tar() -> None:
    assert not recognize._starts_tar(legacy(b"")[:511])


def test_a_safetensors_file_that_is_a_tar_too_is_refused(refused) -> None:
    header = {"__metadata__": {"k": " " * 900}, "w": described()}
    content = safetensors(header)
    content = with_checksum(content, sum, lambda number: b"%08o" % number)
    assert is_tar(content)
    assert refused(content).code == "unsupported_format"
