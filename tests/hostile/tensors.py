"""Tensors that reach outside their bytes, become huge, or are not weights."""

from __future__ import annotations

import random
import struct

from tests.hostile.catalog import hostile
from tests.hostile.craft import ORDERED_DICT, A, torch_zip


def one(tensor: bytes) -> bytes:
    """A torch zip of one tensor."""
    return torch_zip(A.state(("w", tensor)))


@hostile("tensor_out_of_bounds")
def tensor_outside(chance: random.Random) -> bytes:
    """A view that ends beyond its storage of four."""
    beyond = [((5,), (1,), 0), ((4,), (1,), 1), ((2, 2), (1, 3), 0), ((2,), (2**62,), 0), ((0,), (1,), 2**40)]
    shape, strides, offset = chance.choice(beyond)
    return one(A.tensor(shape, strides, offset + chance.randint(0, 9)))


@hostile("tensor_out_of_bounds")
def tensor_backwards(chance: random.Random) -> bytes:
    """A view that starts before its storage, or runs backwards, or has a stride too few."""
    wrong = [((1,), (1,), -1), ((4,), (-1,), 3), ((2, 2), (1,), 0), ((4,), (-(2**62),), 0), ((1,), (), 0)]
    return one(A.tensor(*chance.choice(wrong)))


@hostile("limit_exceeded")
def tensor_expanded(chance: random.Random) -> bytes:
    """A stride of zero makes 10^12 elements of one."""
    side = chance.choice([chance.randint(5000, 11_000), chance.randint(20_000, 10**6)])
    return one(A.tensor((side, side), (0, 0)))


@hostile("limit_exceeded", amplifies=True)
def tensor_of_many_dimensions(chance: random.Random) -> bytes:
    """More dimensions than any layer, or longer ones."""
    rank = chance.randint(7, 60)
    return one(
        A.tensor(*chance.choice([((1,) * rank, (1,) * rank), ((2**31 + rank,), (0,)), ((-rank,), (1,))]))
    )


@hostile("limit_exceeded", amplifies=True)
def tensors_sharing(chance: random.Random) -> bytes:
    """Names that share one tensor: the file's size bounds nothing."""
    side = chance.randint(8000, 11_000)
    names = range(chance.randint(3, 60))
    return torch_zip(
        b"\x80\x02}("
        + A.text("w")
        + A.tensor((side, side), (0, 0))
        + b"q\x01"
        + b"".join(A.text(f"w{at}") + b"h\x01" for at in names)
        + b"u."
    )


@hostile("pickle_malformed")
def tensor_two_storages(chance: random.Random) -> bytes:
    """One storage declared twice, with two lengths or types."""
    other = chance.choice([A.storage(elements=chance.randint(1, 3)), A.storage(kind="torch\nIntStorage")])
    return torch_zip(A.state(("a", A.tensor()), ("b", A.tensor((1,), storage=other))))


@hostile("pickle_malformed")
def tensor_storage_key(chance: random.Random) -> bytes:
    """A storage whose name is a path, or whose length is impossible."""
    bad = [A.storage(key=key) for key in ("../0", "0/../1", "", "\u0663", "1" * 21, "-1")]
    return one(A.tensor(storage=chance.choice([*bad, A.storage(elements=-1), A.storage(elements=2**60)])))


@hostile("pickle_malformed")
def tensor_arguments(chance: random.Random) -> bytes:
    """A tensor made of arguments that torch does not write."""
    call = b"ctorch._utils\n_rebuild_tensor_v2\n("
    rest = [
        b"K\x00)]",
        b"K\x00)",
        b"N))\x89" + ORDERED_DICT,
        b"\x88))\x89" + ORDERED_DICT,
        b"K\x00))NN",
        b"K\x00K\x01K\x01\x89" + ORDERED_DICT,
        b"K\x00N\x85K\x01\x85\x89" + ORDERED_DICT,
        b"K\x00K\x04\x85\x88\x85\x89" + ORDERED_DICT,
        b"\x88K\x04\x85K\x01\x85\x89" + ORDERED_DICT,
        b"K\x00K\x04\x85K\x01\x85N" + ORDERED_DICT,
        b"K\x00K\x04\x85K\x01\x85\x89N",
        b"K\x00K\x04\x85K\x01\x85\x89" + ORDERED_DICT + b"N" + b"N",
    ]
    return one(call + A.storage() + chance.choice(rest) + b"tR")


@hostile("pickle_malformed")
def tensor_parameter(chance: random.Random) -> bytes:
    """A parameter, a reference or a dict made of arguments that torch does not write."""
    parameter = b"ctorch._utils\n_rebuild_parameter\n"
    calls = [
        parameter + b")R",
        parameter + b"N\x88" + ORDERED_DICT + b"\x87R",
        parameter + A.tensor() + b"N" + ORDERED_DICT + b"\x87R",
        b"ccollections\nOrderedDict\nK\x01\x85R",
        b"ccollections\nOrderedDict\n]K\x01a\x85R",
        b"ccollections\nOrderedDict\n]))\x86a\x85RN",
        b"]" + A.text("storage") + b"aQ",
        b"(" + A.text("storage") + b"tQ",
        A.storage(elements=1).replace(A.number(1), b"\x88"),
        b"ctorch\nFloatStorage\n)R",
    ]
    return one(chance.choice(calls))


@hostile("tensor_kind_unsupported")
def tensor_kind(chance: random.Random) -> bytes:
    """Sparse, quantized, nested, meta or subclassed tensors, and lazily negated views."""
    names = [
        "_rebuild_sparse_tensor",
        "_rebuild_qtensor",
        "_rebuild_nested_tensor",
        "_rebuild_meta_tensor_no_storage",
        "_rebuild_wrapper_subclass",
    ]
    if chance.random() < 0.2:
        view = (
            A.number(0)
            + A.numbers((4,))
            + A.numbers((1,))
            + b"\x89"
            + ORDERED_DICT
            + b"}"
            + A.text("neg")
            + b"\x88s"
        )
        return one(b"ctorch._utils\n_rebuild_tensor_v2\n(" + A.storage() + view + b"tR")
    return one(f"ctorch._utils\n{chance.choice(names)}\n".encode() + b")R")


@hostile("dtype_unsupported")
def tensor_dtype(chance: random.Random) -> bytes:
    """A data type no classifier's weights have."""
    kind = chance.choice(["Char", "Short", "ComplexFloat", "ComplexDouble", "QInt8", "QUInt4x2", "Untyped"])
    return one(A.tensor(storage=A.storage(kind=f"torch\n{kind}Storage")))


@hostile("not_finite")
def tensor_not_finite(chance: random.Random) -> bytes:
    """One NaN or infinity somewhere, in any floating type; or a double beyond float32."""
    kind, form, bad = chance.choice(
        [
            ("Float", "<f", [float("nan"), float("inf"), float("-inf")]),
            ("Half", "<e", [float("nan"), float("inf")]),
            ("Double", "<d", [float("nan"), float("-inf"), 1e300, 3.5e38]),
            ("BFloat16", "<H", [0x7F80, 0xFF80, 0x7FC1, 0x7F81]),
        ]
    )
    elements = chance.randint(1, 100_000)
    raw = bytearray(struct.calcsize(form) * elements)
    struct.pack_into(form, raw, chance.randrange(elements) * struct.calcsize(form), chance.choice(bad))
    storage = A.storage(elements=elements, kind=f"torch\n{kind}Storage")
    return torch_zip(A.state(("w", A.tensor((elements,), storage=storage))), {"0": bytes(raw)})


@hostile("state_dict_ambiguous")
def tensor_two_models(chance: random.Random) -> bytes:
    """A clean model and another, and no word which is meant."""
    first, second = chance.sample(["model", "net", "ema", "student", "teacher", "state_dict"], 2)
    entry = b"}" + A.text("w") + A.tensor() + b"s"
    return torch_zip(A.state((first, entry), (second, entry)))
