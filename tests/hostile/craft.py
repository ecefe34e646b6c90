"""Tools to write files that no honest program would: a pickle assembler, zips, headers. No torch."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib

ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
FOUR_ONES = struct.pack("<4f", 1, 1, 1, 1)


class Assembler:
    """Pickle opcodes by hand, so that a test can say what no Pickler would."""

    @staticmethod
    def text(value: str) -> bytes:
        raw = value.encode()
        return b"X" + struct.pack("<I", len(raw)) + raw

    @staticmethod
    def number(value: int) -> bytes:
        raw = value.to_bytes(15, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw

    def numbers(self, values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(self.number, values)) + b"t"

    def storage(self, key: str = "0", elements: int = 4, kind: str = "torch\nFloatStorage") -> bytes:
        head = self.text("storage") + b"c" + kind.encode() + b"\n"
        return b"(" + head + self.text(key) + self.text("cpu") + self.number(elements) + b"tQ"

    def tensor(
        self,
        shape: tuple[int, ...] = (4,),
        strides: tuple[int, ...] = (1,),
        offset: int = 0,
        storage: bytes | None = None,
    ) -> bytes:
        view = self.number(offset) + self.numbers(shape) + self.numbers(strides)
        arguments = b"(" + (storage or self.storage()) + view + b"\x89" + ORDERED_DICT + b"t"
        return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"

    def state(self, *entries: tuple[str, bytes]) -> bytes:
        """A pickle of a dict with these entries."""
        return b"\x80\x02}(" + b"".join(self.text(name) + value for name, value in entries) + b"u."


A = Assembler()


def zip_of(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these members, in their order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return out.getvalue()


def torch_zip(pickled: bytes, storages: dict[str, bytes] | None = None, **extra: bytes) -> bytes:
    """A file as torch.save writes it, around any data.pkl; storage 0 has four ones unless told otherwise."""
    chosen = {"0": FOUR_ONES} if storages is None else storages
    members = {"a/data.pkl": pickled, "a/version": b"3\n"}
    members |= {f"a/data/{key}": raw for key, raw in chosen.items()}
    return zip_of(members | {f"a/{name}": raw for name, raw in extra.items()})


def good_zip(chance: random.Random) -> bytes:
    """An honest torch zip of one to five tensors."""
    entries, storages = [], {}
    for key in map(str, range(chance.randint(1, 5))):
        elements = chance.randint(1, 64)
        storages[key] = struct.pack(f"<{elements}f", *(chance.gauss(0, 1) for _ in range(elements)))
        tensor = A.tensor((elements,), storage=A.storage(key, elements))
        entries.append((f"layer{key}.weight", tensor))
    return torch_zip(A.state(*entries), storages)


def legacy(pickled: bytes | None = None, *, keys: bytes = b"\x80\x02]", system: bytes | None = None) -> bytes:
    """The five pickles of the legacy format around any object; what ``keys`` begins must be ended by STOP."""
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    little = b"\x80\x02}" + A.text("little_endian") + b"\x88s."
    body = pickled or A.state(("w", A.tensor()))
    return magic + b"\x80\x02M\xe9\x03." + (system or little) + body + keys + b"."


def good_legacy(elements: int = 4, *, declared: int | None = None) -> bytes:
    """An honest legacy file of one tensor, or one whose storage lies about its length."""
    tensor = A.tensor((elements,), storage=A.storage("0", elements))
    pickles = legacy(A.state(("w", tensor)), keys=b"\x80\x02]" + A.text("0") + b"a")
    count = elements if declared is None else declared
    return pickles + struct.pack("<q", count) + struct.pack(f"<{elements}f", *[1.0] * elements)


def safetensors(
    header: dict[str, object] | bytes, data: bytes = bytes(16), length: int | None = None
) -> bytes:
    """A safetensors file around any header."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + data


def described(dtype: object = "F32", shape: object = (4,), offsets: object = (0, 16)) -> dict[str, object]:
    """One tensor of a safetensors header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def with_zip64(
    content: bytes, more_here: int = 0, more_count: int = 0, more_size: int = 0, more_start: int = 0
) -> bytes:
    """The same zip with the zip64 records that torch.save writes, which may say more than the plain one."""
    end = content.rfind(END)
    count, size, start = struct.unpack_from("<H2L", content, end + 10)
    numbers = (count + more_here, count + more_count, size + more_size, start + more_start)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, *numbers)
    return content[:end] + record + struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1) + content[end:]


def patched(content: bytes, at: int, form: str, *values: int) -> bytes:
    """The same bytes with some of them packed anew."""
    changed = bytearray(content)
    struct.pack_into(form, changed, at, *values)
    return bytes(changed)


def flipped(content: bytes, chance: random.Random, start: int, end: int) -> bytes:
    """The same bytes with one bit of ``[start, end)`` turned over."""
    at = chance.randrange(start, end)
    return patched(content, at, "<B", content[at] ^ 1 << chance.randrange(8))


def png(
    width: int, height: int, *, bits: int = 8, color: int = 2, pixels: bytes = b"", extra: bytes = b""
) -> bytes:
    """A PNG whose header may lie."""
    header = struct.pack(">2I5B", width, height, bits, color, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + body + png_chunk(b"IEND", b"")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def good_png(chance: random.Random, side: int = 8) -> bytes:
    """An honest PNG of noise."""
    rows = b"".join(b"\0" + chance.randbytes(3 * side) for _ in range(side))
    return png(side, side, pixels=rows)
