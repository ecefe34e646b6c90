"""Zips with two readings, hidden bytes or bombs: each is refused with its own code."""

from __future__ import annotations

import io
import struct
import time
import zipfile

import pytest
import torch

from models.checkpoints.scan import scan_checkpoint

CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


def saved() -> bytes:
    out = io.BytesIO()
    torch.save({"w": torch.ones(4), "b": torch.zeros(2)}, out)
    return out.getvalue()


def patch(content: bytes, at: int, form: str, value: int) -> bytes:
    changed = bytearray(content)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


def test_the_unpatched_file_is_accepted(write) -> None:
    assert len(scan_checkpoint(write(saved())).tensors) == 2


@pytest.mark.parametrize("version", [63, 64])
def test_the_newest_version_of_the_format_is_read(version: int, write, refused) -> None:
    content = saved()
    for at in (4, content.find(CENTRAL) + 6):
        changed = patch(content, at, "<H", version)
        if version == 63:
            assert scan_checkpoint(write(changed)).tensors
        else:
            assert refused(changed).code == "zip_malformed"


@pytest.mark.parametrize("flags", [0x0800, 0x0808, 0x080A, 0x080E, 0x0818, 0x0828, 0x1808, 0x4808, 0x8808])
def test_flags_that_change_the_meaning_of_bytes_are_refused(flags: int, write, refused) -> None:
    content = saved()
    changed = patch(patch(content, content.find(CENTRAL) + 8, "<H", flags), 6, "<H", flags)
    if flags in {0x0808, 0x080A, 0x080E}:
        assert scan_checkpoint(write(changed)).tensors
    else:
        assert refused(changed).code == "zip_malformed"


@pytest.mark.parametrize(
    ("mark", "offset", "form", "value", "code"),
    [
        (CENTRAL, 10, "<H", 8, "zip_malformed"),
        (CENTRAL, 8, "<H", 0x0809, "zip_compressed"),
        (CENTRAL, 8, "<H", 0, "zip_malformed"),
        (CENTRAL, 16, "<L", 1, "zip_malformed"),
        (CENTRAL, 20, "<L", 2**32 - 1, "zip_malformed"),
        (CENTRAL, 24, "<L", 2**32 - 1, "zip_malformed"),
        (CENTRAL, 28, "<H", 15, "zip_malformed"),
        (CENTRAL, 32, "<H", 1, "zip_malformed"),
        (CENTRAL, 34, "<H", 1, "zip_malformed"),
        (CENTRAL, 42, "<L", 1, "zip_overlap"),
        (CENTRAL, 42, "<L", 2**32 - 1, "zip_overlap"),
        (LOCAL, 0, "<L", 0, "format_unknown"),
        (LOCAL, 8, "<H", 8, "zip_malformed"),
        (LOCAL, 14, "<L", 7, "zip_malformed"),
        (LOCAL, 18, "<L", 7, "zip_malformed"),
        (LOCAL, 30, "<B", ord("b"), "zip_malformed"),
        (END, 4, "<H", 1, "zip_malformed"),
        (END, 8, "<H", 1, "zip_malformed"),
        (END, 10, "<H", 65535, "zip_malformed"),
        (END, 12, "<L", 0, "zip_malformed"),
        (END, 16, "<L", 0, "zip_malformed"),
        (END, 20, "<H", 1, "zip_malformed"),
        (b"PK\x06\x07", 8, "<Q", 0, "zip_malformed"),
        (b"PK\x06\x07", 16, "<L", 2, "zip_malformed"),
        (b"PK\x06\x06", 4, "<Q", 0, "zip_malformed"),
        (b"PK\x06\x06", 48, "<Q", 7, "zip_malformed"),
    ],
)
def test_one_changed_field_is_refused(mark, offset, form, value, code, refused) -> None:
    content = saved()
    assert refused(patch(content, content.find(mark) + offset, form, value)).code == code


def test_every_flipped_byte_of_a_weight_is_noticed(refused) -> None:
    content = saved()
    at = content.find(struct.pack("<4f", 1, 1, 1, 1))
    assert refused(patch(content, at, "<B", 1)).code == "zip_checksum"


def test_every_truncation_is_refused(refused) -> None:
    content = saved()
    codes = {refused(content[:length]).code for length in range(4, len(content), 37)}
    assert codes <= {"truncated_file", "zip_malformed"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda content: content + b"tail", "truncated_file"),
        (lambda content: content + bytes(22), "truncated_file"),
        (lambda content: content + content, "zip_malformed"),
        (lambda content: b"PK\x03\x04" + content, "zip_malformed"),
    ],
    ids=["tail", "zeros", "twice", "head"],
)
def test_bytes_around_the_archive_are_refused(change, code, refused) -> None:
    assert refused(change(saved())).code == code


def test_members_that_overlap_are_refused(make_zip, refused) -> None:
    content = make_zip({"a/data.pkl": b"\x80\x02}.", "a/data/0": bytes(4)})
    second = content.rfind(CENTRAL)
    assert refused(patch(content, second + 42, "<L", 0)).code == "zip_overlap"


def test_duplicate_names_are_refused(make_zip, refused) -> None:
    content = make_zip({"a/data.pkl": b"\x80\x02}.", "a/data/0": b"0", "a/data/1": b"1"})
    assert refused(content.replace(b"a/data/1", b"a/data/0")).code == "zip_duplicate_name"


def test_compressed_members_are_refused(make_zip, refused) -> None:
    bomb = make_zip({"a/data.pkl": b"\x80\x02}.", "a/data/0": bytes(10**7)}, zipfile.ZIP_DEFLATED)
    start = time.process_time()
    assert refused(bomb).code == "zip_compressed"
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize("name", ["a/data/../0", "a/data/x", "b/data/0", "a/extra", "/a/data/0", "a/data/-1"])
def test_unexpected_members_are_refused(name: str, make_zip, refused) -> None:
    assert refused(make_zip({"a/data.pkl": b"\x80\x02}.", name: b""})).code == "zip_unexpected_member"


def test_too_many_members_are_refused_before_they_are_read(make_zip, refused) -> None:
    content = make_zip({"a/data.pkl": b"\x80\x02}.", **{f"a/data/{key}": b"" for key in range(4200)}})
    assert refused(content).code == "limit_exceeded"


def test_big_endian_files_are_refused(assemble, torch_zip, refused) -> None:
    content = torch_zip(assemble.state(("w", assemble.tensor())), byteorder=b"big")
    assert refused(content).code == "byte_order_unsupported"
