"""Objects beside the weights that are another name for them: to change one would change the weights."""

from __future__ import annotations

import argparse
import io
import types
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoints.scan import scan_checkpoint
from tests.hostile.aliases import CLEAN, MADE, NAMESPACE, OTHER, PICKLES, SHARED, STORAGES, VIEW
from tests.hostile.craft import A, torch_zip

SLOTS = b"N}" + A.text("w") + OTHER + b"s\x86"


def beside(made: bytes) -> bytes:
    """A model, remembered as 0, and what is made of it."""
    return torch_zip(b"\x80\x02}(" + A.text("model") + MADE + A.text("x") + made + b"u.", STORAGES)


@pytest.mark.parametrize("name", ["array", "namespace"])
def test_torch_loads_what_was_written_through_the_other_name(name: str, tmp_path: Path, refused) -> None:
    path = tmp_path / "upload"
    path.write_bytes(torch_zip(PICKLES[name], STORAGES))
    assert torch.load(path, weights_only=False)["model"]["w"].tolist() == [7] * 4
    assert refused(path.read_bytes()).code == "pickle_malformed"


@pytest.mark.parametrize(
    "made",
    [
        VIEW + b")" + OTHER + b"s",
        VIEW + b"()" + OTHER + b"u",
        VIEW + b"Na",
        VIEW + b"(Ne",
        VIEW + b"}b",
        VIEW.removesuffix(b"R") + b"\x81)Ns",
        b"cnumpy\nfloat32\n" + VIEW + b"\x85R)Ns",
        b"ctypes\nSimpleNamespace\n" + b"h\x00\x85R}b",
        b"ccollections\ndeque\n]h\x00a\x85RNa",
        NAMESPACE + b"}b}b",
        NAMESPACE + b"}b)Ns",
        NAMESPACE + b"}bNa",
    ],
)
def test_what_was_given_weights_or_its_state_is_not_changed_any_more(made: bytes, refused) -> None:
    error = refused(beside(made))
    assert (error.code, "after it was given" in error.detail) == ("pickle_malformed", True)


@pytest.mark.parametrize(
    "state",
    [
        SHARED,
        SLOTS,
        b"}}\x86",
        b"c__builtin__\ntuple\n" + SLOTS + b"\x85R",
        b"N" + b"ccollections\nCounter\n)R" + b"\x86",
    ],
)
def test_attributes_that_are_set_one_by_one_are_refused(state: bytes, refused) -> None:
    """Also in one state: after ``__dict__`` the next attribute is an entry of the model."""
    error = refused(beside(NAMESPACE + state + b"b"))
    assert (error.code, "one by one" in error.detail) == ("pickle_malformed", True)


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
@pytest.mark.parametrize("given", [b"h\x00", b"}", CLEAN, b"cnumpy\nfloat32\n", NAMESPACE, b"N", b"K\x01"])
def test_a_scalar_of_an_object_is_refused(module: str, given: bytes, refused) -> None:
    """NumPy once gave back the object, even an empty dict that becomes the model."""
    scalar = f"c{module}\nscalar\ncnumpy\ndtype\n".encode() + A.text("O") + b"\x85R" + given + b"\x86R"
    assert "scalar" in refused(beside(scalar)).detail


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_training_scripts_leave_is_read(protocol: int, write) -> None:
    states: defaultdict[int, dict[str, torch.Tensor]] = defaultdict(dict)
    states.update({number: {"momentum_buffer": torch.ones(2)} for number in range(2100)})
    content = {
        "model": {"w": torch.ones(2)},
        "states": states,
        "losses": deque([torch.ones(()), torch.zeros(())], maxlen=5),
        "args": argparse.Namespace(lr=0.1, sizes=[1, 2], best=torch.ones(2)),
        "more": types.SimpleNamespace(mean=torch.ones(3)),
        "seen": Counter("abc"),
        "when": datetime(2024, 1, 2),
        "where": Path("a/b"),
        "scalars": [
            np.float32(1),
            np.int64(2),
            np.bool_(True),
            np.float64(0.5),
            np.str_("text"),
            np.str_(""),
        ],
        "array": np.arange(5.0),
        "raw": (b"", b"bytes", bytearray(b"more")),
        "shape": torch.Size([1, 2]),
        "ordered": OrderedDict(a=np.zeros(3, "f2")),
    }
    out = io.BytesIO()
    torch.save(content, out, pickle_protocol=protocol)
    assert scan_checkpoint(write(out.getvalue())).state_dict_key == "model"


def test_bytes_under_a_usual_name_are_no_weights(write) -> None:
    """Protocol 2 writes them as a call."""
    out = io.BytesIO()
    torch.save({"state_dict": {"w": torch.ones(2)}, "model": b"resnet18", "net": b""}, out)
    assert scan_checkpoint(write(out.getvalue())).dropped[:2] == ("model", "net")
