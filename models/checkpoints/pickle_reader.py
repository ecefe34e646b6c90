"""A bounded pickle reader that executes nothing and imports nothing.

An iterative machine over the opcodes that ``torch.save`` writes in protocols 2 to 5. Its values are the inert
nodes of ``pickle_values``; names are checked against ``pickle_globals``; calls are imitated by
``pickle_calls``. Everything else is refused. The opcode meanings are those of CPython's ``pickletools``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Literal

from models.checkpoints.codes import rejection
from models.checkpoints.limits import Limits, require_at_most
from models.checkpoints.pickle_bytes import PickleBytes
from models.checkpoints.pickle_calls import (
    check_attributes,
    hold,
    imitate_call,
    imitate_new,
    insert,
    read_storage,
)
from models.checkpoints.pickle_globals import resolve_global
from models.checkpoints.pickle_objects import require_open, set_entries, set_state, take_arguments
from models.checkpoints.pickle_values import Global, Mapping, Opaque, Sequence, Value
from models.checkpoints.tensor_spec import StorageSpec

#: Longest integer: torch's magic number has 10 bytes, and no shape needs more than 8.
_MAX_INTEGER_BYTES = 16


class PickleReader(PickleBytes):
    """Reads one pickle after another from a buffer.

    Attributes:
        position: Where the next pickle starts.
        storages: Every storage that was referred to, by key.
        inert: Names of the inert globals met, in order.
    """

    def __init__(self, data: bytes, limits: Limits) -> None:
        """Prepare to read ``data``; nothing is read yet."""
        super().__init__(data, limits)
        self.storages: dict[str, StorageSpec] = {}
        self.inert: dict[str, None] = {}
        self._opcodes = 0
        self._looks_like_module: bool | None = None
        self._clear()

    def read(self) -> Value:
        """Read up to and including the next STOP and return the one value it leaves.

        Raises:
            CheckpointRejected: For anything ``torch.save`` does not write; see ``codes``.
        """
        self._clear()
        if self._take(1) != b"\x80" or not 2 <= self._take(1)[0] <= 5:
            self._malformed("does not start as a pickle of protocol 2 to 5")
        while True:
            self._count(1)
            opcode = self._take(1)[0]
            if opcode == _STOP:
                break
            action = _ACTIONS.get(opcode)
            if action is None:
                self._malformed(f"uses the opcode 0x{opcode:02x}, which torch.save does not write")
            action(self)
        self._require_frame_done()
        if len(self._stack) != 1 or self._marks:
            self._malformed("does not end with exactly one value")
        return self._stack.pop()

    def _clear(self) -> None:
        self._stack: list[Value] = []
        self._marks: list[int] = []
        self._memo: dict[int, Value] = {}

    def _count(self, steps: int) -> None:
        self._opcodes += steps
        require_at_most(self._opcodes, self._limits.opcodes, "number of pickle opcodes")

    # What another kind of pickle reads in its own way (``models.data.cifar_pickle``)

    def resolve(self, module: str, name: str) -> Global:
        """Look a name up in the allow-list, or refuse the file."""
        if self._looks_like_module is None:
            self._looks_like_module = b"_parameters" in self._data and b"_modules" in self._data
        return resolve_global(module, name, looks_like_module=self._looks_like_module)

    def call(self, function: Global, arguments: list[Value]) -> Value:
        """Return what a call stands for, or refuse the file."""
        return self._noted(imitate_call(function, arguments, self._limits))

    def instance(self, kind: Global, arguments: list[Value]) -> Value:
        """Return what ``kind.__new__(kind, *arguments)`` stands for, or refuse the file."""
        return self._noted(imitate_new(kind, arguments))

    def _noted(self, made: Value) -> Value:
        if isinstance(made, Opaque):
            self.inert[made.name] = None
        return made

    def build(self, target: Value, state: Value) -> None:
        """Set the state of what a call made, or refuse the file."""
        if isinstance(target, Mapping):
            check_attributes(state)
        elif isinstance(target, Opaque):
            set_state(target, state)
        else:
            self._malformed("sets attributes on something that has none")

    def string(self, raw: bytes) -> Value:
        """Return a string of Python 2: text, as ``torch.load`` decodes it, or bytes if it is none."""
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw

    def key(self, value: Value) -> Value:
        """Return a dict's key as it is stored; only text is kept."""
        return value

    # Stack

    def _push(self, value: Value) -> None:
        self._stack.append(value)

    def _pop(self) -> Value:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            self._malformed("takes a value from an empty stack")
        return self._stack.pop()

    def _pop_to_mark(self) -> list[Value]:
        if not self._marks:
            self._malformed("ends a group that never began")
        start = self._marks.pop()
        taken = self._stack[start:]
        del self._stack[start:]
        return taken

    def _top(self) -> Value:
        value = self._pop()
        self._stack.append(value)
        return value

    def _remember(self, index: int) -> None:
        self._memo[index] = self._top()
        require_at_most(len(self._memo), self._limits.memo_entries, "number of remembered pickle values")

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            self._malformed("recalls a value that it never stored")
        self._push(self._memo[index])

    # Opcodes with meaning of their own

    def _mark(self) -> None:
        self._marks.append(len(self._stack))
        if len(self._marks) > self._limits.nesting:
            raise rejection(
                "nested_too_deep", f"Containers are nested more than {self._limits.nesting} deep."
            )

    def _integer(self, length: int) -> None:
        if length > _MAX_INTEGER_BYTES:
            self._malformed(f"holds an integer of {length:,} bytes")
        self._push(int.from_bytes(self._take(length), "little", signed=True))

    def _sequence(self, kind: Literal["tuple", "list", "set"], items: list[Value]) -> None:
        made = Sequence(kind, items)
        hold(made, items, self._limits)
        self._push(made)

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._sequence("tuple", items[::-1])

    def _extend(self, items: list[Value]) -> None:
        target = self._top()
        if isinstance(target, Sequence) and target.kind != "tuple":
            hold(target, items, self._limits)
            target.items.extend(items)
        elif isinstance(target, Opaque):
            require_open(target)
            target.unnamed += items
        else:
            self._malformed("appends to something that is not a list")

    def _set_items(self, items: list[Value]) -> None:
        target = self._top()
        if len(items) % 2:
            self._malformed("sets a key without a value")
        if isinstance(target, Mapping):
            for key, value in zip(items[::2], items[1::2], strict=True):
                insert(target, self.key(key), value, self._limits)
        elif isinstance(target, Opaque):
            set_entries(target, items)
        else:
            self._malformed("sets a key in something that is not a dict")

    def _global(self, module: str, name: str) -> None:
        self._push(self.resolve(module, name))

    def _instance(self) -> None:
        self._global(self._line(), self._line())
        self._malformed("makes an instance in a way that torch.save does not")

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            self._malformed("names a global with something that is not text")
        self._global(module, name)

    def _call(self, make: Callable[[Global, list[Value]], Value]) -> None:
        arguments, function = self._pop(), self._pop()
        if (
            not isinstance(function, Global)
            or not isinstance(arguments, Sequence)
            or arguments.kind != "tuple"
        ):
            self._malformed("calls something that is not a global")
        # More arguments than torch writes, or lists of pairs, may be named again and again, and are read.
        self._count(max(0, len(arguments.items) - 16))
        self._count(sum(len(one.items) for one in arguments.items if isinstance(one, Sequence)))
        made = make(function, arguments.items)
        if isinstance(made, Opaque):
            take_arguments(made, arguments)
        self._push(made)

    def _build(self) -> None:
        state = self._pop()
        if isinstance(state, Mapping):  # metadata, which may be set again and again
            self._count(sum(len(one.entries) for one in state.entries.values() if isinstance(one, Mapping)))
        self.build(self._top(), state)

    def _persistent(self) -> None:
        storage = read_storage(self._pop(), self._limits)
        if self.storages.setdefault(storage.key, storage) != storage:
            self._malformed(f"declares storage {storage.key} twice, differently")
        require_at_most(len(self.storages), self._limits.tensors, "number of storages")
        self._push(storage)


_STOP = ord(".")

_ACTIONS: dict[int, Callable[[PickleReader], None]] = {
    0x95: PickleReader._begin_frame,
    # Memo
    ord("q"): lambda machine: machine._remember(machine._unsigned(1)),
    ord("r"): lambda machine: machine._remember(machine._unsigned(4)),
    0x94: lambda machine: machine._remember(len(machine._memo)),
    ord("h"): lambda machine: machine._recall(machine._unsigned(1)),
    ord("j"): lambda machine: machine._recall(machine._unsigned(4)),
    # Scalars
    ord("N"): lambda machine: machine._push(None),
    0x88: lambda machine: machine._push(True),
    0x89: lambda machine: machine._push(False),
    ord("K"): lambda machine: machine._push(machine._unsigned(1)),
    ord("M"): lambda machine: machine._push(machine._unsigned(2)),
    ord("J"): lambda machine: machine._integer(4),
    0x8A: lambda machine: machine._integer(machine._unsigned(1)),
    ord("G"): lambda machine: machine._push(struct.unpack(">d", machine._take(8))[0]),
    # Text and bytes
    ord("X"): lambda machine: machine._push(machine._decoded(machine._take(machine._unsigned(4)))),
    0x8C: lambda machine: machine._push(machine._decoded(machine._take(machine._unsigned(1)))),
    0x8D: lambda machine: machine._push(machine._decoded(machine._take(machine._unsigned(8)))),
    ord("T"): lambda machine: machine._push(machine.string(machine._take(machine._unsigned(4)))),
    ord("U"): lambda machine: machine._push(machine.string(machine._take(machine._unsigned(1)))),
    ord("B"): lambda machine: machine._push(machine._take(machine._unsigned(4))),
    ord("C"): lambda machine: machine._push(machine._take(machine._unsigned(1))),
    0x8E: lambda machine: machine._push(machine._take(machine._unsigned(8))),
    0x96: lambda machine: machine._push(machine._take(machine._unsigned(8))),  # a bytearray
    # Containers
    ord("("): PickleReader._mark,
    ord(")"): lambda machine: machine._sequence("tuple", []),
    ord("t"): lambda machine: machine._sequence("tuple", machine._pop_to_mark()),
    0x85: lambda machine: machine._tuple(1),
    0x86: lambda machine: machine._tuple(2),
    0x87: lambda machine: machine._tuple(3),
    ord("]"): lambda machine: machine._sequence("list", []),
    0x8F: lambda machine: machine._sequence("set", []),
    0x91: lambda machine: machine._sequence("set", machine._pop_to_mark()),
    ord("a"): lambda machine: machine._extend([machine._pop()]),
    ord("e"): lambda machine: machine._extend(machine._pop_to_mark()),
    0x90: lambda machine: machine._extend(machine._pop_to_mark()),
    ord("}"): lambda machine: machine._push(Mapping()),
    ord("s"): lambda machine: machine._set_items([machine._pop(), machine._pop()][::-1]),
    ord("u"): lambda machine: machine._set_items(machine._pop_to_mark()),
    # Names and calls
    ord("c"): lambda machine: machine._global(machine._line(), machine._line()),
    ord("i"): PickleReader._instance,
    0x93: PickleReader._stack_global,
    ord("R"): lambda machine: machine._call(machine.call),
    0x81: lambda machine: machine._call(machine.instance),
    ord("b"): PickleReader._build,
    ord("Q"): PickleReader._persistent,
}
