"""Safetensors files whose bytes are pickles, too: ``torch.load`` finds other weights in them, or code."""

from __future__ import annotations

import json
import random
import struct

from tests.hostile.catalog import hostile
from tests.hostile.craft import FOUR_ONES, A, described, legacy, safetensors
from tests.hostile.pickles import MARKER

FOUR_SEVENS = struct.pack("<4f", 7, 7, 7, 7)
#: A whole legacy file of one tensor, ``w``.
OTHER_WEIGHTS = (
    legacy(
        A.state(("w", A.tensor(storage=A.storage().replace(b"tQ", b"NtQ")))),
        keys=b"\x80\x02]" + A.text("0") + b"a",
    )
    + struct.pack("<q", 4)
    + FOUR_SEVENS
)
#: The same with the magic number as a line of text.
IN_DECIMAL = OTHER_WEIGHTS.replace(
    b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", b"L%dL\n" % 0x1950A86A20F9469CFC6C
)
CODE = b"cos\nsystem\n" + A.text(f"touch {MARKER}") + b"\x85R."


def header_as_line(payload: bytes) -> bytes:
    """A header whose length begins with 'V': a line of text up to the newline that the data begin with."""
    entries = _entries(b"\n" + payload)
    raw = json.dumps(entries).encode()
    return safetensors(raw.ljust(0x56 + 256 * (len(raw) // 256 + 1)), b"\n" + payload + FOUR_ONES)


def header_as_texts(payload: bytes) -> bytes:
    """A header whose length begins with 'X': a text that swallows the tensors' entries.

    Shorter ones lie in the metadata, each with its opcode and its length, up to the end of the header.
    """
    entries = json.dumps(_entries(payload), separators=(",", ":"))
    start = f'{entries[:-1]},"__metadata__":{{"a":"'.encode()
    room = 88 + 256 * (3 + len(start)) - len(start)
    last = room % 128 + 128
    sizes = [last // 2, last - last // 2]
    if 94 in sizes:  # a length of 92 is a backslash
        sizes[0] -= 1
        sizes[1] = last - sizes[0]
    texts = b"".join(_text(size) for size in [128] * (room // 128 - 1) + sizes)
    return safetensors(start + texts[:-3] + b'"}}', payload + FOUR_ONES)


def _text(size: int) -> bytes:
    return b"U" + bytes([size - 2]) + b"z" * (size - 2)


def _entries(payload: bytes) -> dict[str, object]:
    end = len(payload)
    return {
        "x": described(dtype="U8", shape=(end,), offsets=(0, end)),
        "w": described(offsets=(end, end + 16)),
    }


@hostile("unsupported_format")
def header_is_pickle(chance: random.Random) -> bytes:
    """A header that an unpickler passes, with the pickles of another network behind it, or with code."""
    payload = chance.choice([OTHER_WEIGHTS, IN_DECIMAL, CODE]) + chance.randbytes(chance.randint(0, 50))
    return chance.choice([header_as_line, header_as_texts])(payload)
