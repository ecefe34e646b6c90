"""Pickles that ask for code, for memory or for time."""

from __future__ import annotations

import random
import struct

from tests.hostile.catalog import hostile
from tests.hostile.craft import ORDERED_DICT, A, legacy, torch_zip

#: Where the files of ``pickle_code`` would leave a trace if anything of them ran.
MARKER = "/tmp/proctor-hostile-marker"

#: Public bypasses of block-lists beside the plain ones.
CALLABLES = (
    "posix system",
    "os system",
    "nt system",
    "subprocess Popen",
    "builtins eval",
    "builtins exec",
    "builtins getattr",
    "__builtin__ compile",
    "importlib import_module",
    "runpy _run_code",
    "operator attrgetter",
    "functools partial",
    "copyreg _reconstructor",
    "pty spawn",
    "timeit timeit",
    "cProfile run",
    "bdb Bdb",
    "pip main",
    "asyncio.unix_events _UnixSubprocessTransport",
    "torch load",
    "torch.hub load",
    "torch.jit load",
    "torch FloatTensor",
    "torch.serialization load",
    "torch.storage UntypedStorage",
    "torch._utils _rebuild_tensor_v2.__globals__",
    "torch._dynamo.guards GuardBuilder.get",
    "torch.utils.bottleneck.__main__ run_cprofile",
    "numpy.testing._private.utils runstring",
    "numpy.f2py.crackfortran myeval",
    "shutil rmtree",
    "socket create_connection",
    "webbrowser open",
    "ctypes CDLL",
    "marshal loads",
    "code InteractiveInterpreter",
    "distutils.file_util write_file",
    "idlelib.run Executive",
)


@hostile("code_in_checkpoint")
def pickle_code(chance: random.Random) -> bytes:
    """A call of something that makes no tensors, said in one of five ways, in one of three containers."""
    module, name = chance.choice(CALLABLES).split(" ")
    command = A.text(f"touch {MARKER}")
    by_line = f"c{module}\n{name}\n".encode()
    by_stack = A.text(module) + A.text(name) + b"\x93"
    called = chance.choice(
        [by_line + b"(" + command + b"tR", by_stack + command + b"\x85R", by_stack + command + b"\x85\x81"]
    )
    instance = b"(" + command + f"i{module}\n{name}\n".encode()
    pickled = b"\x80\x04}" + A.text("w") + chance.choice([called, instance]) + b"s."
    return chance.choice([torch_zip(pickled, {}), legacy(pickled), pickled])


@hostile("code_in_checkpoint")
def pickle_code_beside_weights(chance: random.Random) -> bytes:
    """An honest state dict with one call beside it, late in the file."""
    module, name = chance.choice(CALLABLES).split(" ")
    call = f"c{module}\n{name}\n(".encode() + A.text(f"touch {MARKER}") + b"tR"
    weights = [(f"w{index}", A.tensor()) for index in range(chance.randint(1, 50))]
    return torch_zip(A.state(*weights, ("epoch", call)))


@hostile("code_in_checkpoint")
def pickle_near_name(chance: random.Random) -> bytes:
    """A name that differs from an allowed one by what a careless comparison drops."""
    name = "_rebuild_tensor_v2"
    near = chance.choice(
        [f" {name}", f"{name}\x00", f"{name}.__call__", name.upper(), f"{name}\u200b", f"_{name}"]
    )
    return torch_zip(b"\x80\x04" + A.text("torch._utils") + A.text(near) + b"\x93.", {})


@hostile("whole_module")
def pickle_module(chance: random.Random) -> bytes:
    """A pickled network, which only running code can load."""
    kind = chance.choice(["torch.nn.modules.linear Linear", "torchvision.models.resnet ResNet", "mine Net"])
    module, name = kind.split(" ")
    state = b"}(" + A.text("_parameters") + b"}" + A.text("_modules") + b"}u"
    return torch_zip(f"\x80\x02c{module}\n{name}\n".encode("latin-1") + b")\x81" + state + b"b.", {})


@hostile("pickle_malformed")
def pickle_opcode(chance: random.Random) -> bytes:
    """An opcode that torch.save never writes."""
    rare = b"0" + b"12FILSVPdglop\x82\x83\x84\x8b\x92\x97\x98" + bytes(range(0xA0, 0x100))
    return torch_zip(b"\x80\x02}" + bytes([chance.choice(rare)]) + b"\x00" * 8 + b".", {})


@hostile("pickle_malformed")
def pickle_stack(chance: random.Random) -> bytes:
    """A machine that is asked for what it does not have."""
    wrong = [b"\x85", b"t", b"N(\x85", b"h\x07", b"NN", b"N(", b"}(Nu", b")Na", b"]NNs", b"]}b", b"K\x01)R"]
    wrong += [b"K\x01K\x02\x93", b")Q", b"ctorch\nFloatStorage\n)R", b"ctorch._utils\n_rebuild_tensor_v2\n)R"]
    wrong += [b"(icollections\nOrderedDict\n"]
    return torch_zip(b"\x80\x04" + chance.choice(wrong) + b".", {})


@hostile("pickle_malformed")
def pickle_tail(chance: random.Random) -> bytes:
    """Bytes after the pickle's end."""
    return torch_zip(A.state(("w", A.tensor())) + chance.randbytes(chance.randint(1, 30)))


@hostile("pickle_malformed")
def pickle_text(chance: random.Random) -> bytes:
    """Names that are not UTF-8."""
    raw = chance.choice([b"\xc3\x28", b"\xff", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"])
    return torch_zip(b"\x80\x02}X" + struct.pack("<I", len(raw)) + raw + b"Ns.", {})


@hostile("pickle_malformed")
def pickle_integer(chance: random.Random) -> bytes:
    """An integer of more bytes than any shape needs."""
    length = chance.randint(17, 255)
    return torch_zip(b"\x80\x02\x8a" + bytes([length]) + b"\x01" * length + b".", {})


@hostile("nested_too_deep")
def pickle_nested(chance: random.Random) -> bytes:
    """A tuple in a tuple, a hundred thousand times and more: hashing one crashes CPython."""
    depth = chance.randint(10**5, 10**6)
    as_key = chance.random() < 0.5
    return torch_zip(b"\x80\x02})" + b"\x85" * depth + (b"Ns." if as_key else b"."), {})


@hostile("pickle_malformed")
def pickle_nested_late(chance: random.Random) -> bytes:
    """Lists put into lists that lie in lists already: counted on the way in, the depth would stay two."""
    links = b"".join(
        A.text(f"k{at}") + b"h" + bytes([at]) + b"]q" + bytes([at + 1]) + b"a"
        for at in range(1, chance.randint(3, 200))
    )
    return torch_zip(
        b"\x80\x02}(" + A.text("k0") + b"]q\x00" + A.text("k") + b"h\x00]q\x01a" + links + b"u.", {}
    )


@hostile("limit_exceeded")
def pickle_opcodes(chance: random.Random) -> bytes:
    """More steps than a state dict of 4,096 tensors takes."""
    return torch_zip(b"\x80\x02]" + b"Na" * chance.randint(10**5, 10**6) + b".", {})


@hostile("limit_exceeded")
def pickle_memo(chance: random.Random) -> bytes:
    """More remembered values than any state dict has."""
    return torch_zip(b"\x80\x04N" + b"\x94" * chance.randint(100_001, 150_000) + b".", {})


@hostile("limit_exceeded")
def pickle_keys(chance: random.Random) -> bytes:
    """A dict of hundreds of thousands of keys."""
    pairs = b"".join(A.text(str(key)) + b"N" for key in range(chance.randint(100_001, 300_000)))
    return torch_zip(b"\x80\x02}(" + pairs + b"u.", {})


@hostile("limit_exceeded")
def pickle_long_key(chance: random.Random) -> bytes:
    """A key of five megabytes."""
    return torch_zip(A.state(("k" * chance.randint(4 << 20, 5 << 20), A.tensor())))


@hostile("limit_exceeded", amplifies=True)
def pickle_long_text(chance: random.Random) -> bytes:
    """Text that says it is gigabytes long."""
    short = b"X" + struct.pack("<I", chance.randint(2**30, 2**32 - 1))
    long = chance.choice([b"\x8d", b"\x8e"]) + struct.pack("<Q", chance.randint(2**32, 2**63))
    return torch_zip(b"\x80\x04" + chance.choice([short, long]) + b"abc.", {})


@hostile("limit_exceeded")
def pickle_pairs(chance: random.Random) -> bytes:
    """One list of pairs that is made into a dict thousands of times."""
    pairs = (
        b"]("
        + b"".join(A.text(f"k{key}") + b"N\x86" for key in range(chance.randint(5000, 15_000)))
        + b"eq\x03"
    )
    made = b"".join(A.text(f"m{index}") + b"h\x04h\x03\x85R" for index in range(chance.randint(1000, 15_000)))
    return torch_zip(
        b"\x80\x02}("
        + A.text("x")
        + pairs
        + A.text("f")
        + b"ccollections\nOrderedDict\nq\x04"
        + made
        + b"u.",
        {},
    )


@hostile("state_dict_ambiguous")
def pickle_shared(chance: random.Random) -> bytes:
    """Thousands of names for one mapping of thousands of tensors."""
    names = range(chance.randint(5000, 20_000))
    mapping = (
        b"}("
        + A.text("k")
        + A.tensor()
        + b"q\x01"
        + b"".join(A.text(f"k{at}") + b"h\x01" for at in names)
        + b"uq\x02"
    )
    again = b"".join(A.text(f"m{at}") + b"h\x02" for at in names)
    return torch_zip(b"\x80\x02}(" + A.text("m") + mapping + again + b"u.")


@hostile("duplicate_key")
def pickle_same_key(chance: random.Random) -> bytes:
    """One name twice: which weights count is up to the reader."""
    name = f"w{chance.randint(0, 99)}"
    return torch_zip(A.state((name, A.tensor()), ("b", A.tensor()), (name, A.tensor())))


@hostile("key_invalid")
def pickle_key(chance: random.Random) -> bytes:
    """A tensor's name that could be a path, a command or a terminal's escape."""
    names = [
        "../../etc/passwd",
        "a b",
        "a\nb",
        "",
        "w" * 257,
        "na\u00efve",
        "\x1b[2J",
        "w;rm",
        "<b>",
        "module." * chance.randint(40, 90_000),
    ]
    return torch_zip(A.state((chance.choice(names), A.tensor())))


@hostile("state_dict_not_found")
def pickle_nothing(chance: random.Random) -> bytes:
    """No state dict anywhere."""
    empty = [
        b"\x80\x02}.",
        b"\x80\x02N.",
        b"\x80\x02].",
        b"\x80\x02" + ORDERED_DICT + b".",
        A.state(("a", b"N"), ("b", b"}")),
    ]
    return torch_zip(chance.choice(empty), {})


@hostile("unsupported_format")
def pickle_plain(chance: random.Random) -> bytes:
    """What pickle.dump or joblib writes."""
    plain = [
        b"\x80\x04" + A.text("a") + b".",
        b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81.",
        b"\x80\x02csklearn.svm\nSVC\n)\x81.",
    ]
    return chance.choice(plain)
