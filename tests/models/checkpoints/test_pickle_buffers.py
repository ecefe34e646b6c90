"""NumPy arrays as protocol 5 writes them lie beside the weights; only over bytes of their own."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
import torch

from models.checkpoints.scan import scan_checkpoint
from tests.hostile.craft import A, torch_zip

FROM_BUFFER = b"cnumpy._core.numeric\n_frombuffer\n"
DTYPE = b"cnumpy\ndtype\n(" + A.text("f4") + b"\x89\x88tR"
OWN = b"\x96" + (4).to_bytes(8, "little") + b"abcd"
SHAPE = b"K\x01\x85"


@pytest.mark.parametrize("legacy", [False, True])
def test_arrays_beside_the_weights_are_read(legacy: bool, write) -> None:
    arrays = {
        "c": np.arange(6.0),
        "fortran": np.asfortranarray(np.ones((2, 3), np.int64)),
        "strided": np.arange(6)[::2],
        "text": np.array(["a", "b"]),
        "scalar": np.float64(0.5),
        "raw": bytearray(b"raw"),
    }
    out = io.BytesIO()
    content = {"model": {"w": torch.ones(3)}, **arrays}
    torch.save(content, out, pickle_protocol=5, _use_new_zipfile_serialization=not legacy)
    scanned = scan_checkpoint(write(out.getvalue()))
    assert scanned.tensors["w"].array.tolist() == [1, 1, 1]
    assert {"c", "raw", "numpy._core.numeric._frombuffer"} <= set(scanned.dropped)


def test_the_pickle_by_hand_is_the_one_that_numpy_reads(write) -> None:
    made = FROM_BUFFER + b"(" + OWN + DTYPE + SHAPE + A.text("C") + b"tR"
    assert pickle.loads(b"\x80\x05" + made + b".").tobytes() == b"abcd"
    scanned = scan_checkpoint(write(torch_zip(A.state(("model", MODEL), ("x", made)))))
    assert list(scanned.tensors) == ["w"]


MODEL = b"}" + A.text("w") + A.tensor() + b"s"
OTHER = b"cnumpy\nndarray\n(" + A.tensor() + b"tR"


@pytest.mark.parametrize(
    "arguments",
    [
        A.tensor() + DTYPE + SHAPE + A.text("C"),
        OTHER + DTYPE + SHAPE + A.text("C"),
        A.text("abcd") + DTYPE + SHAPE + A.text("C"),
        OWN + A.text("f4") + SHAPE + A.text("C"),
        OWN + DTYPE + A.tensor() + b"\x85" + A.text("C"),
        OWN + DTYPE + SHAPE + A.text("K"),
        OWN + DTYPE + SHAPE + A.text("C") + A.text("C"),
        b"",
    ],
)
def test_an_array_over_anything_else_is_refused(arguments: bytes, refused) -> None:
    made = FROM_BUFFER + b"(" + arguments + b"tR"
    assert refused(torch_zip(A.state(("model", MODEL), ("x", made)))).code == "pickle_malformed"


@pytest.mark.parametrize("opcodes", [b"\x97", b"\x97\x98"])
def test_a_buffer_outside_the_pickle_is_refused(opcodes: bytes, refused) -> None:
    made = FROM_BUFFER + b"(" + opcodes + DTYPE + SHAPE + A.text("C") + b"tR"
    assert "opcode 0x97" in refused(torch_zip(A.state(("model", MODEL), ("x", made)))).detail


def test_an_array_takes_no_state_behind_its_bytes(refused) -> None:
    made = FROM_BUFFER + b"(" + OWN + DTYPE + SHAPE + A.text("C") + b"tR}b"
    assert "changed after" in refused(torch_zip(A.state(("model", MODEL), ("x", made)))).detail


@pytest.mark.parametrize("opcodes", [b"K\x01a", b"(K\x01e", b"}b"])
def test_a_bytearray_does_not_change(opcodes: bytes, refused) -> None:
    assert refused(torch_zip(A.state(("model", MODEL), ("x", OWN + opcodes)))).code == "pickle_malformed"


def test_a_bytearray_that_the_file_does_not_hold_costs_nothing(refused) -> None:
    huge = b"\x96" + (1 << 62).to_bytes(8, "little")
    assert refused(torch_zip(A.state(("model", MODEL), ("x", huge)))).code == "limit_exceeded"
