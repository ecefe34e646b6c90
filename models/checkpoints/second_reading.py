"""Whether ``torch.load`` would read a safetensors file, too, and read something else.

Unless a file's name ends with ``.safetensors``, torch takes whatever is no zip and no tar for pickles, from
the first byte on. Here that byte is the low one of the header's length, and may be an opcode: a header of
88 + 256 n bytes begins like a text of n bytes, behind which its author chooses the next opcode.

The walk below goes from opcode to opcode by their lengths, and looks at neither stack nor memo. So it goes at
least as far as any unpickler. Before anything else torch wants its magic number from the first pickle, which
only four opcodes make without a call; and for a call a name is needed. A file is taken for safetensors alone
if the walk ends, at STOP or at what no unpickler passes, before it has met either, or a frame.
"""

from __future__ import annotations

import re

from models.checkpoints.limits import Limits

#: torch's magic number, without the zeros that an integer may have behind its bytes.
_MAGIC = 0x1950A86A20F9469CFC6C
_MAGIC_BYTES = _MAGIC.to_bytes(10, "little")

#: Opcodes by the length of what belongs to them. Those not listed end every walk: REDUCE, OBJ, NEWOBJ and
#: NEWOBJ_EX have nothing to call before a name was met; nobody resolves the PERSID, BINPERSID or NEXT_BUFFER
#: of the first pickle; nobody registers codes for EXT1, EXT2 and EXT4; and STOP.
_FIXED = (
    dict.fromkeys(b"N\x88\x89]ael)t\x85\x86\x87}dsu\x8f\x90\x9102(1\x94b\x98", 0)
    | dict.fromkeys(b"Khq\x80", 1)
    | dict.fromkeys(b"M", 2)
    | dict.fromkeys(b"Jjr", 4)
    | dict.fromkeys(b"G", 8)
)
#: Opcodes by the length of the length of what belongs to them.
_COUNTED = dict.fromkeys(b"UC\x8a\x8c", 1) | dict.fromkeys(b"TBX\x8b", 4) | dict.fromkeys(b"\x8d\x8e\x96", 8)
_LONGS = frozenset(b"\x8a\x8b")
_TEXT_LINES, _NUMBER_LINES, _NAME_LINES = frozenset(b"SV"), frozenset(b"ILFgp"), frozenset(b"ci")
_STOP, _FRAME, _QUOTED = ord("."), 0x95, ord("S")
#: STACK_GLOBAL takes its name from two texts, of which one may be a copy: by DUP or from the memo.
_STACK_NAME, _TEXTS = 0x93, frozenset(b"UTXVS\x8c\x8d2ghj")

#: What is longer and still looks like a number or a name is taken for one.
_LONGEST_LINE = 1000
_NUMBER = re.compile(rb"[\w\s.+-]*")
_MODULE = re.compile(rb"[\w.-]+")
_BLOCK = 1 << 16


def torch_would_read(view: memoryview, limits: Limits) -> bool:
    """Say whether an unpickler would find torch's magic number, or something to call, in the first pickle.

    Args:
        view: A whole file that is neither a zip nor a tar.
        limits: Bounds the walk: a file that keeps it going for as many opcodes was made to.
    """
    at, texts = 0, 0
    for _ in range(limits.opcodes):
        opcode = view[at] if at < len(view) else _STOP
        at += 1
        texts += opcode in _TEXTS
        if opcode in _FIXED:
            at += _FIXED[opcode]
        elif opcode in _COUNTED:
            start = at + _COUNTED[opcode]
            if opcode in _LONGS and view[start : start + len(_MAGIC_BYTES)] == _MAGIC_BYTES:
                return True
            at = start + int.from_bytes(view[at:start], "little")
        elif opcode == _FRAME:
            # What reaches over a frame's end CPython reads from behind it, and drops the frame's rest: it
            # goes on elsewhere than the walk. A frame that the file cannot hold ends it; others may go on.
            if int.from_bytes(view[at : at + 8], "little") <= len(view):
                return True
            at += 8
        elif opcode in _TEXT_LINES and (opcode != _QUOTED or bytes(view[at : at + 1]) in {b"'", b'"'}):
            at = _end_of_line(view, at) + 1
        elif opcode in _NUMBER_LINES:
            end = _end_of_line(view, at)
            number = bytes(view[at : min(end, at + _LONGEST_LINE)]).partition(b"\0")[0]
            plain = _NUMBER.fullmatch(number) is not None
            if not plain or len(number) == _LONGEST_LINE or _integer(number) == _MAGIC:
                return plain
            at = end + 1
        elif opcode in _NAME_LINES:
            end = _end_of_line(view, at)
            return _MODULE.fullmatch(bytes(view[at : min(end, at + _LONGEST_LINE)])) is not None
        else:
            return opcode == _STACK_NAME and texts >= 2
    return True


def _end_of_line(view: memoryview, at: int) -> int:
    """Return where the line ends that begins at ``at``: at its newline, or where the file does."""
    for start in range(at, len(view), _BLOCK):
        found = bytes(view[start : start + _BLOCK]).find(b"\n")
        if found >= 0:
            return start + found
    return len(view)


def _integer(number: bytes) -> int | None:
    """Read what INT and LONG read; None for what is no integer, or not one as large as the magic number."""
    try:
        return int(number.strip().removesuffix(b"L"), 0)
    except ValueError:
        return None
