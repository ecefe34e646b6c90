"""Legacy files and safetensors whose headers lie, and files of other kinds."""

from __future__ import annotations

import io
import json
import random
import tarfile

from tests.hostile.catalog import hostile
from tests.hostile.craft import A, described, good_legacy, good_zip, legacy, safetensors, zip_of


@hostile("truncated_file")
def legacy_cut(chance: random.Random) -> bytes:
    """A legacy file that ends inside a storage or a pickle."""
    content = good_legacy(chance.randint(4, 100))
    return content[: chance.randrange(40, len(content))]


@hostile("storage_size_mismatch")
def legacy_tail(chance: random.Random) -> bytes:
    """Bytes after the last storage."""
    return good_legacy() + chance.randbytes(chance.randint(1, 50))


@hostile("storage_size_mismatch", amplifies=True)
def legacy_length(chance: random.Random) -> bytes:
    """A storage that says it has other elements than its tensors do."""
    return good_legacy(declared=chance.choice([0, 3, 5, -1, 2**40, 2**63 - 1]))


@hostile("storage_missing")
def legacy_keys(chance: random.Random) -> bytes:
    """A list of storages that is not the set of those referred to."""
    listed = chance.choice([b"", A.text("1") + b"a", A.text("0") + b"a" + A.text("0") + b"a", b"K\x00a"])
    return legacy(keys=b"\x80\x02]" + listed) + bytes(24)


@hostile("byte_order_unsupported")
def legacy_big_endian(chance: random.Random) -> bytes:
    """A file from a big-endian machine, or one that does not say."""
    word = chance.choice(
        [A.text("little_endian") + b"\x89", A.text("other") + b"\x88", A.text("little_endian") + b"K\x01"]
    )
    return legacy(system=chance.choice([b"\x80\x02}" + word + b"s.", b"\x80\x02N."]))


@hostile("pickle_malformed")
def legacy_numbers(chance: random.Random) -> bytes:
    """Another protocol than 1001, or a list of storages that is none."""
    content = good_legacy()
    return chance.choice(
        [content.replace(b"M\xe9\x03.", b"M\xea\x03."), legacy(keys=b"\x80\x02}"), legacy(keys=b"\x80\x02N")]
    )


@hostile("safetensors_malformed")
def header_shape(chance: random.Random) -> bytes:
    """A shape or offsets that are not natural numbers, or do not fit each other."""
    wrong = [
        described(shape=(-4,)),
        described(shape=(True,)),
        described(shape=(4.0,)),
        described(shape="4"),
        described(shape=(3,)),
        described(offsets=(0, 16.0)),
        described(offsets=(0,)),
        described(offsets=(16, 0)),
        described(offsets=(0, 15)),
        described(offsets=(0, 10**4000)),
        described(shape=(10**4000,)),
    ]
    return safetensors({"w": chance.choice(wrong)})


@hostile("safetensors_malformed")
def header_json(chance: random.Random) -> bytes:
    """JSON that is none, is nested beyond reason or holds what JSON has not."""
    deep = b'{"w":' + b"[" * chance.randint(10_000, 500_000)
    digits = b'{"w":' + b"9" * chance.randint(5000, 900_000) + b"}"
    others = [
        b"{no}",
        b"{\xff}",
        b'{"w": NaN}',
        b'{"w": [1]}',
        b'{"w": {}}',
        b'{"__metadata__": {"a": 1}}',
        b'{"__metadata__": 7}',
    ]
    return safetensors(chance.choice([deep, digits, *others]))


@hostile("safetensors_malformed")
def header_spans(chance: random.Random) -> bytes:
    """Tensors that overlap, leave gaps or leave bytes over."""
    overlap = safetensors({"a": described(), "b": described(shape=(3,), offsets=(4, 16))})
    gap = safetensors({"w": described(offsets=(4, 20))}, bytes(20))
    tail = safetensors({"w": described()}, bytes(16 + chance.randint(1, 99)))
    return chance.choice([overlap, gap, tail])


@hostile("duplicate_key")
def header_same_name(chance: random.Random) -> bytes:
    """One name twice, which the format's library accepts."""
    entry = json.dumps(described())
    return safetensors(
        chance.choice([f'{{"w": {entry}, "w": {entry}}}', '{"w": {"dtype": "F32", "dtype": "F32"}}']).encode()
    )


@hostile("limit_exceeded", amplifies=True)
def header_huge(chance: random.Random) -> bytes:
    """A length, a rank or a dimension beyond all limits."""
    long = safetensors({"w": described()}, length=chance.randint(2**20 + 1, 2**63))
    empty = safetensors({"w": described(shape=(0, chance.randint(2**32, 10**18)), offsets=(0, 0))}, b"")
    rank = safetensors({"w": described(shape=(1,) * chance.randint(7, 300))})
    return chance.choice([long, empty, rank])


@hostile("truncated_file")
def header_cut(chance: random.Random) -> bytes:
    """A file that ends inside its header or its last tensor."""
    content = safetensors({"w": described()})
    return content[: chance.randrange(10, len(content))]


@hostile("key_invalid")
def header_name(chance: random.Random) -> bytes:
    """A name that could be a path or a terminal's escape, which the format's library accepts."""
    return safetensors({chance.choice(["../w", "w\x00", "w\n", "\x1b]0;w", "w" * 300, "/w"]): described()})


@hostile("dtype_unsupported")
def header_dtype(chance: random.Random) -> bytes:
    """A data type that is unknown, no text, or nested so deep that printing it fails."""
    nested: object = []
    for _ in range(chance.randint(1, 300)):
        nested = [nested]
    return safetensors({"w": described(dtype=chance.choice(["F8_E4M3", "C64", "", "f32", None, nested, {}]))})


@hostile("unsupported_format")
def foreign(chance: random.Random) -> bytes:
    """A file of another kind, whatever its name says."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("data.pkl"))
    heads = [
        b"\x1f\x8b\x08",
        b"BZh9",
        b"\xfd7zXZ\x00",
        b"7z\xbc\xaf\x27\x1c",
        b"\x89HDF\r\n\x1a\n",
        b"\x93NUMPY",
        b"GGUF",
        b"Rar!",
    ]
    zips = [
        {"a/constants.pkl": b""},
        {"bytecode.pkl": b""},
        {"a/.data/extern_modules": b""},
        {"MAR-INF/MANIFEST.json": b""},
        {"w.npy": b""},
    ]
    made = [head + chance.randbytes(60) for head in heads] + [zip_of(members) for members in zips]
    return chance.choice([*made, tar.getvalue(), b"\x08\x07\x12\x07pytorch"])


@hostile("unsupported_format")
def polyglot(chance: random.Random) -> bytes:
    """A picture, document or program with an honest checkpoint behind it."""
    head = chance.choice(
        [b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"\x7fELF", b"MZ", b"GIF89a", b"\xff\xd8\xff\xe0"]
    )
    return head + chance.randbytes(chance.randint(0, 40)) + good_zip(chance)


@hostile("unsupported_format")
def text(chance: random.Random) -> bytes:
    """Text, short or long, with characters of several bytes where a reader's block ends."""
    head = chance.choice([b"", b"\xef\xbb\xbf", b" \r\n\t"])
    return head + chance.choice(
        ["key: value\n", "\u00e9t\u00e9 ", "\U0001f600", "<p>"]
    ).encode() * chance.choice([1, 2000])


@hostile("unsupported_format")
def page(chance: random.Random) -> bytes:
    """The page of a download link instead of the file behind it."""
    head = chance.choice([b"", b"\xef\xbb\xbf", b" \r\n\t"])
    return head + chance.choice([b"<!DOCTYPE html>", b"<html>", b"<!doctype HTML>\0"]) + chance.randbytes(30)


@hostile("format_unknown")
def noise(chance: random.Random) -> bytes:
    """Bytes that mean nothing."""
    return b"\xfe" + chance.randbytes(chance.randint(20, 2000))
