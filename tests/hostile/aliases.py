"""Files of two networks, of which every reader must see the same one; and changes that keep both in."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from tests.hostile.craft import FOUR_ONES, ORDERED_DICT, A, described, legacy, safetensors, torch_zip
from tests.hostile.mutate import operations
from tests.hostile.polyglots import OTHER_WEIGHTS, header_as_line, header_as_texts

CLEAN = A.tensor()
OTHER = A.tensor(storage=A.storage("1"))
STORAGES = {"0": FOUR_ONES, "1": struct.pack("<4f", 7, 7, 7, 7)}
ENCODED = b"c_codecs\nencode\n" + A.text("fgngr_qvpg") + A.text("rot13") + b"\x86R"
COUNTER = b"ccollections\nCounter\n)R"
#: NumPy's scalar of a tensor is an array in the tensor's own memory, and its tensor is remembered as 0.
VIEW = b"cnumpy\nfloat32\n" + CLEAN + b"q\x00\x85R"
#: A mapping that is remembered as 0, and the state of an object whose attributes are then that mapping.
MADE = b"}q\x00" + A.text("w") + CLEAN + b"s"
SHARED = b"N}" + A.text("__dict__") + b"h\x00s\x86"
NAMESPACE = b"cargparse\nNamespace\n)\x81"
NEW_DICT = b"ccollections\nOrderedDict\n"


def weights(tensor: bytes, made: bytes = b"}", name: str = "w") -> bytes:
    """A mapping of one tensor."""
    return made + A.text(name) + tensor + b"s"


def with_state(state: bytes) -> bytes:
    """A parameter of the clean values, with attributes."""
    arguments = CLEAN + b"\x89" + ORDERED_DICT + state
    return b"ctorch._utils\n_rebuild_parameter_with_state\n(" + arguments + b"tR"


def root(*entries: bytes) -> bytes:
    """The pickle of a dict of these keys and values."""
    return b"\x80\x02}(" + b"".join(entries) + b"u."


STATE_DICT = A.text("state_dict")
PAIRS = b"](" + STATE_DICT + weights(CLEAN) + b"\x86e\x85"


def frame_cut_short() -> bytes:
    """A frame that ends inside a text: CPython goes on behind it, where others see bytes of a value."""
    seen = A.text("state_dict") + weights(OTHER)
    seen += A.text("p" * (294 - len(seen))) + b"N"  # a length of bytes that are text
    dropped = A.text("more") + b"B" + struct.pack("<I", len(seen))
    begun = b"}(" + A.text("model") + weights(CLEAN) + A.text("note")
    begun += b"X" + struct.pack("<I", len(dropped) + 4) + b"." * len(dropped)
    return b"\x80\x04\x95" + struct.pack("<Q", len(begun)) + begun + b"text" + dropped + seen + b"u."


#: Pickles by what they do; all hold both storages.
PICKLES = {
    "honest": root(A.text("model"), weights(CLEAN), A.text("optimizer"), weights(OTHER, name="momentum")),
    "averages": root(A.text("model"), weights(CLEAN), A.text("averages"), b"]" + weights(OTHER) + b"a"),
    "in_a_list": root(A.text("model"), weights(CLEAN), STATE_DICT, b"]" + OTHER + b"a"),
    "state_data": root(A.text("w"), with_state(b"}" + A.text("data") + OTHER + b"s")),
    "state_slots": root(A.text("w"), with_state(b"N}" + A.text("data") + OTHER + b"s\x86")),
    "newobj": b"\x80\x02" + NEW_DICT + PAIRS + b"\x81" + A.text("w") + OTHER + b"s.",
    "string": root(STATE_DICT, weights(CLEAN), b"U\x0astate_dict", weights(OTHER)),
    "string_inside": root(STATE_DICT, b"}(" + A.text("w") + CLEAN + b"U\x01w" + OTHER + b"u"),
    "encoded": root(STATE_DICT, weights(CLEAN), ENCODED, weights(OTHER)),
    "counter": root(A.text("model"), weights(CLEAN), STATE_DICT, weights(OTHER, COUNTER)),
    "among_others": root(A.text("model"), weights(CLEAN), STATE_DICT, weights(OTHER) + A.text("n") + b"Ns"),
    "frame": frame_cut_short(),
    "array": root(A.text("x"), VIEW + b")" + OTHER + b"s", A.text("model"), b"}" + A.text("w") + b"h\x00s"),
    "namespace": root(
        A.text("model"), MADE, A.text("args"), NAMESPACE + SHARED + b"b" + weights(OTHER) + b"b"
    ),
    "hidden": b"\x80\x02"
    + weights(CLEAN, ORDERED_DICT)
    + b"}("
    + A.text("items")
    + NEW_DICT
    + A.text("data")
    + OTHER
    + b"ub.",
}


def constructed() -> Iterator[tuple[str, bytes]]:
    """Every pickle in both of torch's containers, and safetensors that are pickles, by name."""
    for name, pickled in PICKLES.items():
        yield f"{name} zip", torch_zip(pickled, STORAGES)
        keys = b"\x80\x02](" + A.text("0") + A.text("1") + b"e"
        values = b"".join(struct.pack("<q", 4) + values for values in STORAGES.values())
        yield f"{name} legacy", legacy(pickled, keys=keys) + values
    for make in (header_as_line, header_as_texts):
        yield f"safetensors {make.__name__}", make(OTHER_WEIGHTS)
    yield "honest safetensors", safetensors({"w": described()}, FOUR_ONES)


def mutated(number: int, seed: int) -> bytes:
    """A file of parts that are chosen at random, or a change of one above; made from its number alone."""
    chance = random.Random(f"{seed} {number}")
    if chance.random() < 0.7:
        pickled = b"\x80\x02" + _mapping(chance, 0) + b"."
    else:
        pickled = operations(chance.choice(list(PICKLES.values())), chance)
    return torch_zip(pickled, {key: raw for key, raw in STORAGES.items() if A.storage(key) in pickled})


def _mapping(chance: random.Random, depth: int) -> bytes:
    names = ("state_dict", "model", "args") if depth == 0 and chance.random() < 0.8 else ("w", "b", "w2")
    entries = [(_key(chance, names), _value(chance, depth)) for _ in range(chance.randint(1, 3))]
    pairs = b"](" + b"".join(key + value + b"\x86" for key, value in entries[:-1]) + b"e\x85"
    made = [b"}"] * 8 + [ORDERED_DICT] * 4 + [NEW_DICT + b")\x81", COUNTER]
    made += [NEW_DICT + pairs + call for call in (b"R", b"\x81")]
    attributes = [b""] * 12 + [b"}" + A.text(name) + b"}sb" for name in ("_metadata", "items")]
    start = chance.choice(made)
    rest = entries[-1:] if pairs in start else entries
    return start + b"(" + b"".join(key + value for key, value in rest) + b"u" + chance.choice(attributes)


def _key(chance: random.Random, names: tuple[str, ...]) -> bytes:
    name = chance.choice(names)
    raw = name.encode()
    string = b"U" + bytes([len(raw)]) + raw
    return chance.choice([A.text(name)] * 8 + [string] * 3 + [ENCODED, A.number(3), b"C" + string[1:]])


def _value(chance: random.Random, depth: int) -> bytes:
    tensor = chance.choice([CLEAN, OTHER])
    if depth < 2 and chance.random() < (0.7 if depth == 0 else 0.1):
        return _mapping(chance, depth + 1)
    states = (b"N", b"}", b"NN\x86", b"}" + A.text("data") + OTHER + b"s")
    return chance.choice([tensor] * 10 + [with_state(state) for state in states] + [b"N", A.text("vgg")])
