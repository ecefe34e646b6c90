"""Changes to files that keep enough of their structure for the change to reach the inner layers."""

from __future__ import annotations

import io
import json
import pickletools
import random
import struct
import zipfile
from collections.abc import Callable

from tests.hostile.craft import CENTRAL, END, LOCAL, A, legacy, zip_of

Mutate = Callable[[bytes, random.Random], bytes]

NUMBERS = (0, 1, 2, 4, 7, 8, 15, 16, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
LONG_NUMBERS = (*NUMBERS, 2**32, 2**62, 2**63 - 1, -1, -(2**31), -(2**63), 10**18)
#: Single opcodes and short runs that torch.save writes, and some it does not.
OPERATIONS = (
    *(bytes([code]) for code in b")(tNRQbeaus}]0.h\x05K\x07" + bytes(range(0x85, 0x95))),
    b"h\x00",
    b"q\x00",
    b"K\x01",
    A.number(2**40),
    A.text("storage"),
    A.text("0"),
    A.text("w"),
    A.storage(),
    A.tensor(),
    b"ccollections\nOrderedDict\n",
    b"ctorch._utils\n_rebuild_parameter\n",
    b"ctorch\nLongStorage\n",
    b"cbuiltins\nset\n",
    b"cposix\nsystem\n",
)


def some_bytes(content: bytes, chance: random.Random) -> bytes:
    """Flip, drop, repeat, insert or overwrite bytes anywhere."""
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + chance.choice([1, 2, 4, 30]))
        match chance.randrange(5):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                del changed[at:end]
            case 2:
                changed[at:at] = changed[at:end] * chance.choice([1, 2, 50])
            case 3:
                changed[at:at] = chance.randbytes(chance.randint(1, 8))
            case _:
                changed[at:end] = (chance.choice(NUMBERS) % 2**32).to_bytes(4, "little")
    return bytes(changed)


def a_header_field(content: bytes, chance: random.Random) -> bytes:
    """Overwrite one field of one zip header."""
    mark, size = chance.choice(
        [(LOCAL, 30), (CENTRAL, 46), (END, 22), (b"PK\x06\x06", 56), (b"PK\x06\x07", 20)]
    )
    places = [at for at in range(len(content) - size) if content.startswith(mark, at)]
    if mark == END and content[-22:-18] == END:
        places.append(len(content) - 22)
    if not places:
        return some_bytes(content, chance)
    changed = bytearray(content)
    at = chance.choice(places) + chance.randrange(4, size - 1)
    form = chance.choice(["<H", "<L"])
    limit = 2 ** (8 * struct.calcsize(form))
    near = struct.unpack_from("<H", changed, at)[0] + chance.choice([-1, 1, 4])
    value = chance.choice([near, *NUMBERS]) % limit
    if at + struct.calcsize(form) <= len(changed):
        struct.pack_into(form, changed, at, value)
    return bytes(changed)


def a_member(content: bytes, chance: random.Random) -> bytes:
    """Drop, rename, resize, repeat or add a member, and write the zip again with right checksums."""
    members = _members(content)
    if not members:
        return some_bytes(content, chance)
    name = chance.choice(list(members))
    match chance.randrange(5):
        case 0:
            del members[name]
        case 1:
            members[name + chance.choice(["0", "/", ".png", "/../x"])] = members.pop(name)
        case 2:
            members[name] = members[name][: chance.randrange(len(members[name]) + 1)]
        case 3:
            members[name] += chance.randbytes(chance.randint(1, 64))
        case _:
            members[chance.choice(["a/data/5", "a/byteorder", "cat/z.png", "b/data.pkl"])] = members[name]
    return zip_of(members, chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))


def the_pickle(content: bytes, chance: random.Random) -> bytes:
    """Change ``data.pkl`` opcode by opcode, and write the zip again with right checksums."""
    members = _members(content)
    name = next((name for name in members if name.endswith("/data.pkl")), None)
    if name is None:
        return some_bytes(content, chance)
    members[name] = operations(members[name], chance)
    return zip_of(members)


def legacy_pickle(content: bytes, chance: random.Random) -> bytes:
    """Change the object's pickle of a legacy file of one tensor."""
    return (
        legacy(operations(A.state(("w", A.tensor())), chance), keys=b"\x80\x02]" + A.text("0") + b"a")
        + content[-24:]
    )


def operations(pickled: bytes, chance: random.Random) -> bytes:
    """Drop, repeat, swap, insert or renumber opcodes of a pickle."""
    parts = _opcodes(pickled)
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(len(parts))
        match chance.randrange(5):
            case 0:
                parts[at] = b""
            case 1:
                parts[at] *= chance.choice([2, 3, 40])
            case 2:
                other = chance.randrange(len(parts))
                parts[at], parts[other] = parts[other], parts[at]
            case 3:
                parts.insert(at, chance.choice(OPERATIONS))
            case _:
                parts[at] = A.number(chance.choice(LONG_NUMBERS))
    return b"".join(parts)


def the_header(content: bytes, chance: random.Random) -> bytes:
    """Change a safetensors header value by value, and its length with it or not."""
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length])
    except ValueError:
        return some_bytes(content, chance)
    names = list(header) if isinstance(header, dict) else []
    if not names or not isinstance(header[names[0]], dict):
        return some_bytes(content, chance)
    entry = header[chance.choice(names)]
    values = [
        chance.choice(LONG_NUMBERS),
        [chance.choice(LONG_NUMBERS)] * chance.randint(0, 9),
        "F16",
        "I64",
        None,
        {},
        1.5,
        True,
    ]
    match chance.randrange(3):
        case 0 if isinstance(entry, dict) and entry:
            entry[chance.choice(list(entry))] = chance.choice(values)
        case 1:
            header[chance.choice(["w2", "__metadata__", "", "../w"])] = chance.choice([entry, *values])
        case _:
            header.pop(chance.choice(names))
    raw = json.dumps(header).encode()
    stated = len(raw) if chance.random() < 0.9 else chance.choice(NUMBERS)
    return stated.to_bytes(8, "little") + raw + content[8 + length :]


def _members(content: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist()}
    except Exception:  # a file that was changed before; Python's own reader may trip over anything
        return {}


def _opcodes(pickled: bytes) -> list[bytes]:
    try:
        starts = [at for _, _, at in pickletools.genops(pickled) if at is not None]
    except Exception:
        starts = list(range(0, len(pickled), 3)) or [0]
    return [pickled[start:end] for start, end in zip(starts, [*starts[1:], len(pickled)], strict=True)]
