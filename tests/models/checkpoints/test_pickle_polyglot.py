"""Safetensors files that ``torch.load`` reads as pickles, and the many that only begin like one."""

from __future__ import annotations

import io
import json
import pickle
import random

import pytest
import torch

from models.checkpoints.limits import Limits
from models.checkpoints.scan import scan_checkpoint
from models.checkpoints.second_reading import torch_would_read
from tests.hostile.craft import described, safetensors
from tests.hostile.polyglots import CODE, IN_DECIMAL, OTHER_WEIGHTS, header_as_line, header_as_texts
from tests.untraced import untraced

MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"


def would_read(content: bytes) -> bool:
    return torch_would_read(memoryview(content), Limits())


@pytest.mark.parametrize("weights_only", [True, False])
def test_what_torch_reads_otherwise_is_refused(weights_only: bool, refused) -> None:
    make, payload = (header_as_texts, OTHER_WEIGHTS) if weights_only else (header_as_line, IN_DECIMAL)
    content = make(payload)
    assert torch.load(io.BytesIO(content), weights_only=weights_only)["w"].tolist() == [7, 7, 7, 7]
    error = refused(content)
    assert error.code == "unsupported_format"
    assert "torch.load" in error.detail


@pytest.mark.parametrize("make", [header_as_line, header_as_texts])
@pytest.mark.parametrize("payload", [OTHER_WEIGHTS, IN_DECIMAL, CODE], ids=["bytes", "decimal", "code"])
def test_every_way_to_get_past_the_header_is_refused(make, payload: bytes, refused) -> None:
    assert refused(make(payload)).code == "unsupported_format"


@pytest.mark.parametrize("make", [header_as_line, header_as_texts])
@pytest.mark.parametrize(
    "payload", [b"N.", b"\xff", b"K", b"", b"cos system\n.", b"PK\n.", b"I01\nF1.5\n\xff"]
)
def test_a_header_that_is_passed_to_nowhere_is_read(make, payload: bytes, write) -> None:
    assert scan_checkpoint(write(make(payload))).tensors["w"].array.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "pickled",
    [
        b"N" + MAGIC,
        b"\x80\x05\x95" + bytes(8) + MAGIC,
        b"\x95\x05" + bytes(7) + b"K\xc8U\x05zzzzzR" + MAGIC + b".",
        b"\x95" + bytes(7) + b"{" + MAGIC,
        b"\x8b\x0c\0\0\0" + MAGIC[2:] + b"\0\0.",
        b"]K\x01aM\x01\x02J\x01\x02\x03\x040" + MAGIC,
        b"I0x1950a86a20f9469cfc6c\n.",
        b"L 0X1950A86A20F9469CFC6CL\n.",
        b"I0b" + f"{0x1950A86A20F9469CFC6C:b}".encode() + b"\0 and more\n.",
        b"I" + b"0" * 1000 + b"7\n.",
        b"Vany\n" + MAGIC,
        b"S'any'\np0\ng0\n" + MAGIC,
        b"F1e9\n" + MAGIC,
        b"V" + b"z" * 100_000 + b"\n" + MAGIC,
        b"\x8d" + (3).to_bytes(8, "little") + b"abc" + MAGIC,
        b"cposix\nsystem\n",
        b"(iposix\nsystem\n",
        b"\x8c\x05posix\x8c\x06system\x93",
        b"N" * 200_001,
    ],
)
def test_the_walk_finds_what_an_unpickler_would(pickled: bytes) -> None:
    assert would_read(pickled)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"NNN",
        b"." + MAGIC,
        b"R" + MAGIC,
        b"\x82\x01" + MAGIC,
        b"\x93" + MAGIC,
        b"Vos\n\x93" + MAGIC,
        b"Sos\n" + MAGIC,
        b"I1950\n." + MAGIC,
        b'I64","shape":[]\n' + MAGIC,
        b'conv1.weight":{"dtype"\n' + MAGIC,
        b"I\xff\n" + MAGIC,
        b"V" + b"z" * 100_000,
        b"X\xff\xff\xff\xff" + MAGIC,
        b"\x8a\x0a" + bytes(10) + b".",
    ],
)
def test_the_walk_ends_where_an_unpickler_does(content: bytes) -> None:
    assert not would_read(content)


def test_a_walk_is_bounded() -> None:
    assert torch_would_read(memoryview(b"NNNN."), Limits(opcodes=4))
    assert not torch_would_read(memoryview(b"NNNN."), Limits(opcodes=5))


PARTS = [
    *(
        b"N",
        b"(",
        b"]",
        b"}",
        b")",
        b"2",
        b"0",
        b"K\x01",
        b"U\x03a.c",
        b"X\x02\0\0\0os",
        b"\x94",
        b"h\0",
        b"q\0",
    ),
    *(
        b"I01\n",
        b"I017\n",
        b"L7L\n",
        b"F1e5\n",
        b"Vos\n",
        b"S'a'\n",
        b"p0\n",
        b"g0\n",
        b"l",
        b"t",
        b"d",
        b"1",
    ),
    *(b"\x80\x04", b"\x95\x05" + bytes(7), b"J....", b"M..", b"G........", b"\x8a\x02..", b"\x8b\x01\0\0\0."),
    *(
        b"\x85",
        b"\x86",
        b"\x87",
        b"\x8f",
        b"\x90",
        b"\x91",
        b"\x93",
        b"\x98",
        b"a",
        b"e",
        b"s",
        b"u",
        b"b",
        b"R",
        b"o",
    ),
    *(b"cos\nsystem\n", b"ios\nsystem\n", b"Pabc\n", b"Q", b"\x82\x01", b"\x81", b"\x92", b"\x97"),
]
ENDS = [
    MAGIC,
    b"\x8b\x0b\0\0\0" + MAGIC[2:] + b"\0",
    b"L%dL\n" % 0x1950A86A20F9469CFC6C,
    b"I%d\n" % 0x1950A86A20F9469CFC6C,
]


class Named(Exception):
    """A pickle names something to import."""


class Imports(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> None:
        raise Named(module, name)


def test_the_walk_misses_nothing_that_pickle_reads() -> None:
    chance = random.Random(0)
    found = 0
    for _ in range(20_000):
        content = (
            b"".join(chance.choices(PARTS, k=chance.randint(0, 6))) + chance.choice(ENDS) + b"." + b"z" * 9
        )
        try:
            reads = Imports(io.BytesIO(content)).load() == int.from_bytes(MAGIC[2:], "little")
        except Named:
            reads = True
        except Exception:  # it ends here for torch as well
            reads = False
        found += reads
        assert would_read(content) or not reads, content
    assert found > 1000


def ordinary_header(chance: random.Random) -> bytes:
    """Names and shapes as networks have them."""
    names = [
        f"{chance.choice(['layer', 'features.', 'blocks.', 'conv', 'stage_'])}{index}.{part}"
        for index in range(chance.randint(1, 60))
        for part in chance.sample(
            ["weight", "bias", "running_mean", "num_batches_tracked", "convShortcut.weight", "attn.qkv"], 3
        )
    ]
    header: dict[str, object] = {"__metadata__": {"format": "pt"}} if chance.random() < 0.5 else {}
    for index, name in enumerate(names):
        dtype, width = chance.choice([("F32", 4), ("I64", 8), ("F16", 2), ("BF16", 2)])
        header[name] = described(dtype=dtype, shape=(2, 3, width), offsets=(index * 64, index * 64 + 64))
    return json.dumps(header, separators=(",", ":")).encode()


def test_ordinary_headers_of_every_length_are_read() -> None:
    """Every first byte occurs: it is the low one of the length."""
    chance = random.Random(0)
    refused = []
    for number in range(2048):
        raw = ordinary_header(chance)
        length = (len(raw) // 256 + chance.choice([1, 2])) * 256 + number % 256
        content = safetensors(raw.ljust(length), chance.randbytes(2000))
        with untraced():
            refused += [length] if would_read(content) else []
    assert refused == []


def test_files_of_the_formats_own_writer_are_read(write) -> None:
    from safetensors.torch import save

    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8))
    for length in range(64):
        content = save(network.state_dict(), metadata={"format": "pt", "note": "z" * 8 * length})
        assert scan_checkpoint(write(content)).tensors.keys() == network.state_dict().keys()
