"""Tars and gzip files that mean harm or are damaged: each is refused with its own code."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
import zlib

import numpy as np
import pytest

from tests.models.data.cifar_files import (
    META10,
    ROOT10,
    Python2,
    archive10,
    batch10,
    files,
    member,
    published10,
    tar,
)
from tests.models.data.test_hostile_batches import CODE

GOOD = Python2.dumps(batch10())
INNER = published10()
BATCH = f"{ROOT10}/data_batch_1"


def with_member(info: tarfile.TarInfo, content: bytes = b"", form: int = tarfile.GNU_FORMAT) -> bytes:
    return tar([(info, content), *((member(name, each), each) for name, each in INNER.items())], form)


def in_header(at: int, value: bytes) -> bytes:
    """A tar whose first header has other bytes, and the checksum of them."""
    made = bytearray(files(INNER))
    made[at : at + len(value)] = value
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made[:512])
    return bytes(made)


TARS = {
    "symlink": (with_member(member("a", kind=tarfile.SYMTYPE, linkname="/etc/passwd")), "archive_member"),
    "hard_link": (with_member(member("a", kind=tarfile.LNKTYPE, linkname=BATCH)), "archive_member"),
    "character_device": (with_member(member("a", kind=tarfile.CHRTYPE)), "archive_member"),
    "block_device": (with_member(member("a", kind=tarfile.BLKTYPE)), "archive_member"),
    "fifo": (with_member(member("a", kind=tarfile.FIFOTYPE)), "archive_member"),
    "contiguous": (with_member(member("a", kind=tarfile.CONTTYPE)), "archive_member"),
    "sparse": (with_member(member("a", kind=tarfile.GNUTYPE_SPARSE)), "archive_member"),
    "long_name": (with_member(member("a" * 200)), "archive_member"),
    "pax_header": (
        with_member(member("a", pax_headers={"size": "9"}), form=tarfile.PAX_FORMAT),
        "archive_member",
    ),
    "global_pax_header": (with_member(member("a", kind=tarfile.XGLTYPE)), "archive_member"),
    "absolute": (with_member(member("/etc/train")), "archive_name"),
    "parent": (with_member(member("../train")), "archive_name"),
    "backslash": (with_member(member("a\\train")), "archive_name"),
    "control": (with_member(member("a\x1b/train")), "archive_name"),
    "empty_name": (in_header(0, bytes(100)), "archive_name"),
    "not_utf_8_but_printable": (in_header(0, b"\xff\xfe" + bytes(98)), "archive_not_cifar"),
    "hidden_in_the_name": (in_header(60, b"hidden"), "archive_malformed"),
    "twice": (with_member(member(BATCH, INNER[BATCH]), INNER[BATCH]), "archive_duplicate_name"),
    "twice_in_other_case": (with_member(member(BATCH.upper())), "archive_not_cifar"),
    "two_folders": (with_member(member("x/data_batch_1", GOOD), GOOD), "archive_duplicate_name"),
    "two_metas": (with_member(member("x/batches.meta", INNER[f"{ROOT10}/batches.meta"]),
                              INNER[f"{ROOT10}/batches.meta"]), "archive_duplicate_name"),
    "foreign_file": (with_member(member(f"{ROOT10}/setup.py")), "archive_not_cifar"),
    "nested_archive": (with_member(member(f"{ROOT10}/more.tar.gz")), "archive_not_cifar"),
    "binary_size": (in_header(124, b"\x80" + bytes(10) + b"\x09"), "archive_malformed"),
    "size_in_words": (in_header(124, b"a lot       "), "archive_malformed"),
    "negative_size": (in_header(124, b"-0000000001\0"), "archive_malformed"),
    "huge_size": (in_header(124, b"77777777777\0"), "data_limit_exceeded"),
    "size_beyond_the_end": (in_header(124, b"00000777777\0"), "archive_truncated"),
    "folder_with_content": (with_member(member("a", b"x", kind=tarfile.DIRTYPE), b"x"), "archive_malformed"),
    "header_checksum": (files(INNER).replace(b"0000644", b"0000755", 1), "archive_checksum"),
    "other_magic": (in_header(257, b"ustar\x0001"), "data_format_unknown"),
    "no_meta": (files({BATCH: GOOD}), "archive_not_cifar"),
    "no_batch": (files({f"{ROOT10}/batches.meta": INNER[f"{ROOT10}/batches.meta"]}), "archive_not_cifar"),
    "bad_batch": (files({**INNER, f"{ROOT10}/data_batch_9": GOOD[:-1]}), "batch_truncated"),
    "code_in_batch": (files({**INNER, f"{ROOT10}/data_batch_9": CODE["exec"]}), "batch_code"),
    "code_in_meta": (files({**INNER, f"{ROOT10}/batches.meta": CODE["exec"]}), "batch_code"),
    "meta_of_numbers": (files({**INNER, f"{ROOT10}/batches.meta": Python2.dumps({"label_names": [1]})}),
                        "batch_malformed"),
    "meta_with_a_name_twice": (
        files({**INNER, f"{ROOT10}/batches.meta": Python2.dumps({"label_names": ["a", "a"]})}),
        "batch_malformed",
    ),
    "labels_beyond_the_names": (
        files({**INNER, f"{ROOT10}/batches.meta": Python2.dumps({**META10, "label_names": ["a", "b"]})}),
        "batch_labels",
    ),
    "hidden_behind_a_member": (files(INNER).replace(b"3.pngq\x11eu.\0", b"3.pngq\x11eu.x"),
                               "archive_malformed"),
    "bytes_behind_the_end": (files(INNER) + b"x", "archive_malformed"),
    "a_tar_behind_the_end": (files(INNER) + files(INNER), "archive_malformed"),
    "megabytes_of_zeros_behind": (files(INNER) + bytes(200_000), "archive_malformed"),
    "end_mark_cut": (files(INNER).rstrip(b"\0") + bytes(700), "archive_truncated"),
    "only_zeros_in_gzip": (gzip.compress(bytes(10_240)), "data_limit_exceeded"),
    "gzip_of_text": (gzip.compress(np.random.default_rng(0).bytes(2000)), "archive_not_cifar"),
    "gzip_of_zip": (gzip.compress(b"PK\x03\x04" + np.random.default_rng(0).bytes(900)), "archive_not_cifar"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "code"), TARS.values(), ids=TARS.keys())
def test_tars_out_of_the_profile_are_refused(content: bytes, code: str, refused) -> None:
    assert refused(content).code == code


PACKED = archive10()


def flagged(flags: int, extra: bytes = b"") -> bytes:
    return PACKED[:3] + bytes([flags]) + PACKED[4:10] + extra + PACKED[10:]


GZIPS = {
    "method": (PACKED[:2] + b"\7" + PACKED[3:], "archive_malformed"),
    "extra_field": (flagged(4, b"\2\0xx"), "archive_malformed"),
    "comment": (flagged(16, b"hello\0"), "archive_malformed"),
    "header_checksum": (flagged(2, b"xx"), "archive_malformed"),
    "reserved_flag": (flagged(128), "archive_malformed"),
    "endless_name": (flagged(8, b"x" * 300 + b"\0"), "archive_malformed"),
    "crc": (PACKED[:-8] + bytes(4) + PACKED[-4:], "archive_checksum"),
    "size": (PACKED[:-4] + bytes(4), "archive_checksum"),
    "trailer_cut": (PACKED[:-3], "archive_truncated"),
    "cut_in_the_middle": (PACKED[: len(PACKED) // 2], "archive_truncated"),
    "header_cut": (PACKED[:9], "archive_truncated"),
    "damaged": (PACKED[:200] + bytes(50) + PACKED[250:], None),
    "bytes_behind": (PACKED + b"x", "archive_malformed"),
    "second_member": (PACKED + PACKED, "archive_malformed"),
}


@pytest.mark.parametrize(("content", "code"), GZIPS.values(), ids=GZIPS.keys())
def test_gzip_out_of_the_profile_is_refused(content: bytes, code: str | None, refused) -> None:
    """What zlib makes of damaged bytes depends on its release: it may find them out late."""
    error = refused(content)
    assert error.code == code or (code is None and error.code.startswith("archive_"))


def test_a_name_in_the_gzip_header_is_passed_over(inspect) -> None:
    assert inspect(flagged(8, b"../../etc/passwd\0")).images == 24


def bomb(content: bytes, zeros: int) -> bytes:
    """``content`` and then zeros, in gzip; a gigabyte of zeros takes one megabyte."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as packed:
        packed.write(content)
        for _ in range(zeros >> 20):
            packed.write(bytes(1 << 20))
    return out.getvalue()


HEADER = member(BATCH)
HEADER.size = 290 << 20
BOMBS = {
    "zeros": bomb(b"", 400 << 20),
    "zeros_behind_the_end": bomb(files(INNER), 400 << 20),
    "one_huge_batch": bomb(HEADER.tobuf(tarfile.GNU_FORMAT), 290 << 20),
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused_within_a_second(content: bytes, refused) -> None:
    started = time.process_time()
    assert refused(content).code in {"data_limit_exceeded", "archive_malformed"}
    assert time.process_time() - started < 1


def test_a_stream_of_empty_blocks_ends_with_the_file(refused) -> None:
    """A deflate stream may go on without making a byte."""
    blocks = b"\0\0\0\xff\xff" * 200_000
    started = time.process_time()
    assert refused(b"\x1f\x8b\x08" + bytes(7) + blocks).code == "archive_truncated"
    assert time.process_time() - started < 1
    assert zlib.decompressobj(-15).decompress(blocks) == b""
