"""Torch zips whose container lies."""

from __future__ import annotations

import random
import struct
import zipfile

from tests.hostile.catalog import hostile
from tests.hostile.craft import CENTRAL, END, LOCAL, A, good_zip, patched, torch_zip, with_zip64, zip_of

EMPTY = b"\x80\x02}."
ONE = A.state(("w", A.tensor()))


@hostile("truncated_file")
def zip_cut(chance: random.Random) -> bytes:
    """The beginning of an honest file."""
    content = good_zip(chance)
    return content[: chance.randrange(4, len(content))]


@hostile("truncated_file")
def zip_tail(chance: random.Random) -> bytes:
    """Bytes after the end record, where a second archive could be."""
    return good_zip(chance) + chance.randbytes(chance.randint(1, 100))


@hostile("truncated_file")
def zip_comment(chance: random.Random) -> bytes:
    """A comment, in which a second end record could be."""
    comment = chance.randbytes(chance.randint(1, 100))
    content = good_zip(chance)
    return patched(content, len(content) - 2, "<H", len(comment)) + comment


@hostile("zip_malformed")
def zip_head(chance: random.Random) -> bytes:
    """Something that starts like a zip before the zip."""
    return LOCAL + chance.randbytes(chance.randint(0, 60)) + good_zip(chance)


@hostile("zip_overlap")
def zip_overlap(chance: random.Random) -> bytes:
    """Two entries of the directory for the same bytes."""
    content = torch_zip(ONE, {"0": bytes(16), "1": bytes(16)})
    entry = content.rfind(CENTRAL)
    return patched(
        content, entry + 42, "<L", chance.choice([0, struct.unpack_from("<L", content, entry + 42)[0] - 1])
    )


@hostile("zip_overlap")
def zip_gap(chance: random.Random) -> bytes:
    """Bytes that no member owns, between the last member and the directory."""
    content = good_zip(chance)
    directory = content.find(CENTRAL)
    hidden = chance.randbytes(chance.randint(1, 50))
    moved = patched(content, len(content) - 6, "<L", directory + len(hidden))
    return moved[:directory] + hidden + moved[directory:]


@hostile("zip_duplicate_name")
def zip_same_name(chance: random.Random) -> bytes:
    """Two members of one name: which is read is up to the reader."""
    twin = chance.randint(1, 9)
    content = torch_zip(ONE, {"0": bytes(16), str(twin): bytes(16)})
    return content.replace(f"a/data/{twin}".encode(), b"a/data/0")


@hostile("zip_compressed", amplifies=True)
def zip_bomb(chance: random.Random) -> bytes:
    """A member that says it becomes gigabytes."""
    content = zip_of(
        {"a/data.pkl": EMPTY, "a/data/0": bytes(chance.randint(10**5, 10**6))}, zipfile.ZIP_DEFLATED
    )
    size = chance.randint(2**30, 2**32 - 2)
    for mark, at in ((CENTRAL, 24), (LOCAL, 22)):
        content = patched(content, content.rfind(mark) + at, "<L", size)
    return content


@hostile("zip_compressed")
def zip_deflated(chance: random.Random) -> bytes:
    """Compressed members, which torch.load accepts."""
    storage = bytes(4 * chance.randint(1000, 5000))
    return zip_of({"a/data.pkl": ONE, "a/data/0": storage}, zipfile.ZIP_DEFLATED)


@hostile("zip_compressed")
def zip_encrypted(chance: random.Random) -> bytes:
    """A flag that asks for a password."""
    content = good_zip(chance)
    flag = chance.choice([0x0001, 0x0040, 0x2000])
    entry = content.find(CENTRAL)
    return patched(content, entry + 8, "<H", flag)


@hostile("zip_checksum")
def zip_flipped_weight(chance: random.Random) -> bytes:
    """One bit of one weight."""
    raw = chance.randbytes(16)
    content = torch_zip(ONE, {"0": raw})
    at = content.find(raw) + chance.randrange(16)
    return patched(content, at, "<B", content[at] ^ 1 << chance.randrange(8))


@hostile("zip_unexpected_member")
def zip_foreign_member(chance: random.Random) -> bytes:
    """A member that torch.save does not write."""
    name = chance.choice(
        ["a/extra", "a/data/x", "a/data/-1", "a/data/0/1", "a/data/" + "1" * 21, "a/.data/x"]
    )
    return zip_of({"a/data.pkl": EMPTY, name: b"x"})


@hostile("zip_unexpected_member")
def zip_path(chance: random.Random) -> bytes:
    """A member whose name leaves the folder."""
    name = chance.choice(
        ["../a", "a/../../b", "/etc/passwd", "a/data/../0", "C:/a", "a\\data\\0", "a/data/\u0663"]
    )
    return zip_of({"a/data.pkl": EMPTY, name: b"x"})


@hostile("zip_unexpected_member")
def zip_two_roots(chance: random.Random) -> bytes:
    """Two checkpoints in one zip."""
    return zip_of({"a/data.pkl": EMPTY, f"{chance.choice('bcd')}/data.pkl": ONE})


@hostile("zip_malformed")
def zip_two_opinions(chance: random.Random) -> bytes:
    """A member whose own header and the directory disagree."""
    content = good_zip(chance)
    at, form = chance.choice([(6, "<H"), (8, "<H"), (14, "<L"), (18, "<L"), (22, "<L"), (30, "<B")])
    old = struct.unpack_from(form, content, at)[0]
    new = chance.choice([value for value in (0, 1, 8, 97, 120) if value != old])
    return patched(content, at, form, new)


@hostile("zip_malformed")
def zip_end_record(chance: random.Random) -> bytes:
    """An end record that lies about disks, counts or places."""
    content = good_zip(chance)
    at = content.rfind(END) + chance.choice([4, 6, 8, 10, 12, 16])
    old = struct.unpack_from("<H", content, at)[0]
    return patched(content, at, "<H", old + chance.randint(1, 9))


@hostile("zip_malformed", amplifies=True)
def zip64_lies(chance: random.Random) -> bytes:
    """A zip64 end record beside the plain one that says something else: 281 TB, say."""
    more = [0, 0, 0, 0]
    more[chance.randrange(4)] = chance.choice([1, 2**32, 2**48])
    return with_zip64(torch_zip(ONE), *more)


@hostile("zip_malformed")
def zip64_locator(chance: random.Random) -> bytes:
    """A zip64 locator that points elsewhere."""
    content = with_zip64(torch_zip(ONE))
    at = content.rfind(b"PK\x06\x07")
    place, disks = chance.choice([(at - 55, 1), (0, 1), (at - 56, 0), (at - 56, 2), (2**63, 1)])
    return patched(content, at + 8, "<QL", place, disks)


@hostile("zip_malformed")
def zip_uncounted_entry(chance: random.Random) -> bytes:
    """More entries in the directory than the end record counts."""
    content = torch_zip(ONE, {str(key): bytes(16) for key in range(chance.randint(1, 9))})
    count = struct.unpack_from("<H", content, len(content) - 12)[0] - chance.randint(1, 2)
    return patched(content, len(content) - 14, "<2H", count, count)


@hostile("zip_malformed")
def zip_version(chance: random.Random) -> bytes:
    """A member that needs a version nobody has, or carries flags of patched data or masked headers."""
    content = good_zip(chance)
    entry = content.find(CENTRAL)
    if chance.random() < 0.5:
        version = chance.choice([64, 255, 0x0A14, 0xFFFF])
        return patched(content, chance.choice([4, entry + 6]), "<H", version)
    flags = struct.unpack_from("<H", content, entry + 8)[0] | chance.choice([0x0010, 0x0020, 0x4000, 0x8000])
    return patched(patched(content, entry + 8, "<H", flags), 6, "<H", flags)


@hostile("zip_malformed")
def zip_no_room(chance: random.Random) -> bytes:
    """A directory that begins before the first member's header ends."""
    content = zip_of({"a/data.pkl": EMPTY})
    room = chance.randint(4, 29)
    return patched(content[:room] + content[content.find(CENTRAL) :], -6, "<L", room)


@hostile("zip_malformed")
def zip_second_name(chance: random.Random) -> bytes:
    """An extra field that gives other readers another name, other sizes or a cipher."""
    kind = chance.choice([0x0001, 0x0017, 0x6375, 0x7075, 0x9901])
    return with_extra(struct.pack("<HH", kind, 4) + chance.randbytes(4), everywhere=chance.random() < 0.5)


@hostile("zip_malformed")
def zip_broken_extra(chance: random.Random) -> bytes:
    """An extra field that runs out of its room."""
    return with_extra(struct.pack("<HH", 0x4246, chance.randint(5, 999)) + bytes(4), everywhere=False)


@hostile("zip_malformed")
def zip_long_name(chance: random.Random) -> bytes:
    """A name of kilobytes, to be searched and normalized."""
    return zip_of({"a/data.pkl": EMPTY, "a/" + "x/" * chance.randint(300, 30_000): b""})


@hostile("limit_exceeded")
def zip_many_members(chance: random.Random) -> bytes:
    """More members than a checkpoint has tensors."""
    return zip_of({"a/data.pkl": EMPTY} | {f"a/data/{key}": b"" for key in range(chance.randint(4103, 4200))})


@hostile("storage_missing")
def zip_lost_storage(chance: random.Random) -> bytes:
    """A storage that is referred to or stored, but not both."""
    return torch_zip(ONE, chance.choice([{}, {"0": bytes(16), "7": bytes(4)}, {"1": bytes(16)}]))


@hostile("storage_size_mismatch")
def zip_wrong_length(chance: random.Random) -> bytes:
    """A storage with more or fewer bytes than its tensors say."""
    return torch_zip(ONE, {"0": bytes(chance.choice([0, 1, 15, 17, 4000]))})


@hostile("byte_order_unsupported")
def zip_big_endian(chance: random.Random) -> bytes:
    """Weights whose bytes are the other way round, or say something unheard of."""
    return torch_zip(ONE, byteorder=chance.choice([b"big", b"BIG", b"little\n", b"", b"x" * 1000]))


def with_extra(extra: bytes, *, everywhere: bool) -> bytes:
    """An honest zip whose last member carries an extra field, maybe in the directory too."""
    content = torch_zip(ONE)
    local, central = content.rfind(LOCAL), content.rfind(CENTRAL)
    directory, end = content.find(CENTRAL), content.rfind(END)
    name_bytes = struct.unpack_from("<H", content, local + 26)[0]
    content = patched(content, local + 28, "<H", len(extra))
    grown = len(extra)
    if everywhere:
        content = patched(content, central + 30, "<H", len(extra))
        content = patched(content, end + 12, "<L", end - directory + len(extra))
        content = content[: central + 46 + name_bytes] + extra + content[central + 46 + name_bytes :]
        end += len(extra)
    content = patched(content, end + 16, "<L", directory + grown)
    at = local + 30 + name_bytes
    return content[:at] + extra + content[at:]
