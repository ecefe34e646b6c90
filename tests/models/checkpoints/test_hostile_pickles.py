"""Pickles that mean harm: each is refused with its own code, and nothing of it runs."""

from __future__ import annotations

import io
import os
import pickle
import time
from pathlib import Path

import pytest
import torch

from tests.untraced import untraced


class Runs:
    """Pickles to a call of ``function(*arguments)``."""

    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_names_the_code_and_does_not_run_it(protocol: int, legacy: bool, tmp_path: Path, refused) -> None:
    marker = tmp_path / "marker"
    out = io.BytesIO()
    content = {"w": torch.ones(2), "x": Runs(os.system, f"touch {marker}")}
    torch.save(content, out, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    error = refused(out.getvalue())
    assert error.code == "code_in_checkpoint"
    assert "posix.system" in error.detail
    assert not marker.exists()


@pytest.mark.parametrize(
    "function",
    [eval, exec, __import__, getattr, os.popen, io.open, torch.load, torch.FloatTensor, pickle.loads],
    ids=lambda function: function.__name__,
)
def test_refuses_every_global_outside_the_list(function, torch_zip, refused) -> None:
    pickled = pickle.dumps({"w": Runs(function, "1")}, protocol=2)
    assert refused(torch_zip(pickled, {})).code == "code_in_checkpoint"


@pytest.mark.parametrize(
    "name", ["_rebuild_tensor_v2.__globals__", "_rebuild_tensor_v2\x00", " _rebuild_tensor_v2"]
)
def test_compares_names_whole(name: str, assemble, torch_zip, refused) -> None:
    pickled = b"\x80\x04" + assemble.text("torch._utils") + assemble.text(name) + b"\x93."
    assert refused(torch_zip(pickled, {})).code == "code_in_checkpoint"


def test_names_code_in_a_plain_pickle(refused) -> None:
    assert refused(pickle.dumps(Runs(os.system, "true"), protocol=4)).code == "code_in_checkpoint"


def test_names_code_asked_for_by_the_instance_opcode(torch_zip, refused) -> None:
    assert refused(torch_zip(b"\x80\x02(iposix\nsystem\n.", {})).code == "code_in_checkpoint"


def test_refuses_a_whole_module(refused) -> None:
    out = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2), out)
    assert refused(out.getvalue()).code == "whole_module"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (torch.eye(3).to_sparse(), "tensor_kind_unsupported"),
        (torch.ones(2, dtype=torch.complex64), "dtype_unsupported"),
        (torch.ones(2, dtype=torch.int8), "dtype_unsupported"),
        (torch.ones(2, dtype=torch.complex64).conj().imag, "tensor_kind_unsupported"),
        (torch.ones(2, device="meta"), "tensor_kind_unsupported"),
    ],
    ids=["sparse", "complex", "int8", "negated_view", "meta"],
)
def test_refuses_other_kinds_of_tensor(content: torch.Tensor, code: str, refused) -> None:
    out = io.BytesIO()
    torch.save({"w": content}, out)
    assert refused(out.getvalue()).code == code


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "code"),
    [
        ((5,), (1,), 0, "tensor_out_of_bounds"),
        ((4,), (1,), 1, "tensor_out_of_bounds"),
        ((2, 2), (1, 3), 0, "tensor_out_of_bounds"),
        ((1,), (1,), -1, "tensor_out_of_bounds"),
        ((4,), (-1,), 3, "tensor_out_of_bounds"),
        ((2,), (2**62,), 0, "tensor_out_of_bounds"),
        ((2, 2), (1,), 0, "tensor_out_of_bounds"),
        ((0,), (1,), 2**40, "tensor_out_of_bounds"),
        ((2**31 + 1,), (0,), 0, "limit_exceeded"),
        ((-1,), (1,), 0, "limit_exceeded"),
        ((1,) * 7, (1,) * 7, 0, "limit_exceeded"),
        ((2**31,), (0,), 0, "limit_exceeded"),
        ((2**31, 2**31), (0, 0), 0, "limit_exceeded"),
    ],
)
def test_refuses_tensors_outside_their_storage(
    shape, strides, offset, code, assemble, torch_zip, refused
) -> None:
    tensor = assemble.tensor(shape, strides, offset)
    assert refused(torch_zip(assemble.state(("w", tensor)))).code == code


def test_refuses_a_storage_declared_twice_differently(assemble, torch_zip, refused) -> None:
    second = assemble.tensor(storage=assemble.storage(elements=2), shape=(2,))
    pickled = assemble.state(("a", assemble.tensor()), ("b", second))
    assert refused(torch_zip(pickled)).code == "pickle_malformed"


@pytest.mark.parametrize(
    ("storages", "code"),
    [
        ({}, "storage_missing"),
        ({"0": bytes(16), "1": bytes(4)}, "storage_missing"),
        ({"0": bytes(15)}, "storage_size_mismatch"),
        ({"0": bytes(20)}, "storage_size_mismatch"),
    ],
)
def test_storages_and_references_must_agree(storages, code, assemble, torch_zip, refused) -> None:
    assert refused(torch_zip(assemble.state(("w", assemble.tensor())), storages)).code == code


@pytest.mark.parametrize("key", ["../0", "0/../1", "", "٣", "1" * 21])
def test_storage_keys_are_plain_numbers(key: str, assemble, torch_zip, refused) -> None:
    tensor = assemble.tensor(storage=assemble.storage(key=key))
    assert refused(torch_zip(assemble.state(("w", tensor)))).code == "pickle_malformed"


NEST = 10**6
MALFORMED = {
    "nested_tuples": (b"\x80\x02)" + b"\x85" * NEST + b".", "nested_too_deep"),
    "nested_tuple_as_key": (b"\x80\x02})" + b"\x85" * NEST + b"Ns.", "nested_too_deep"),
    "nested_lists": (b"\x80\x02" + b"]" * NEST + b"a" * (NEST - 1) + b".", "limit_exceeded"),
    "nested_marks": (b"\x80\x02" + b"(" * NEST, "nested_too_deep"),
    "few_nested_lists": (b"\x80\x02" + b"]" * 20 + b"a" * 19 + b".", "nested_too_deep"),
    "memo_flood": (b"\x80\x04" + b"N" + b"\x94" * NEST + b".", "limit_exceeded"),
    "unknown_opcode": (b"\x80\x02\xff.", "pickle_malformed"),
    "extension": (b"\x80\x02\x82\x01.", "pickle_malformed"),
    "text_integer": (b"\x80\x02I1\n.", "pickle_malformed"),
    "protocol_0": (b"(dp0\n.", "pickle_malformed"),
    "protocol_9": (b"\x80\x09N.", "pickle_malformed"),
    "huge_integer": (b"\x80\x02\x8a\xff" + b"\x01" * 255 + b".", "pickle_malformed"),
    "declared_4_gib_text": (b"\x80\x02X\xff\xff\xff\xffabc.", "limit_exceeded"),
    "declared_8_eib_text": (b"\x80\x04\x8d" + b"\xff" * 8 + b"abc.", "limit_exceeded"),
    "bad_utf8": (b"\x80\x02X\x02\x00\x00\x00\xc3\x28.", "pickle_malformed"),
    "underflow": (b"\x80\x02\x85.", "pickle_malformed"),
    "mark_underflow": (b"\x80\x02t.", "pickle_malformed"),
    "pops_through_a_mark": (b"\x80\x02N(\x85.", "pickle_malformed"),
    "unknown_memo": (b"\x80\x02h\x07.", "pickle_malformed"),
    "no_stop": (b"\x80\x02N", "truncated_file"),
    "two_values": (b"\x80\x02NN.", "pickle_malformed"),
    "open_mark": (b"\x80\x02N(.", "pickle_malformed"),
    "odd_items": (b"\x80\x02}(Nu.", "pickle_malformed"),
    "append_to_tuple": (b"\x80\x02)Na.", "pickle_malformed"),
    "set_item_of_list": (b"\x80\x02]NNs.", "pickle_malformed"),
    "build_on_list": (b"\x80\x02]}b.", "pickle_malformed"),
    "call_of_text": (b"\x80\x02X\x01\x00\x00\x00a)R.", "pickle_malformed"),
    "call_of_storage": (b"\x80\x02ctorch\nFloatStorage\n)R.", "pickle_malformed"),
    "tensor_of_nothing": (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "pickle_malformed"),
    "parameter_of_nothing": (b"\x80\x02ctorch._utils\n_rebuild_parameter\n)R.", "pickle_malformed"),
    "dict_of_numbers": (b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.", "pickle_malformed"),
    "dict_of_triples": (b"\x80\x02ccollections\nOrderedDict\n]K\x01a\x85R.", "pickle_malformed"),
    "bad_reference": (b"\x80\x02)Q.", "pickle_malformed"),
    "module_reference": (b"\x80\x02X\x06\x00\x00\x00module\x85Q.", "whole_module"),
    "global_of_number": (b"\x80\x04K\x01K\x02\x93.", "pickle_malformed"),
    "name_without_end": (b"\x80\x02c" + b"a" * 2000, "pickle_malformed"),
    "trailing_bytes": (b"\x80\x02}.more", "pickle_malformed"),
    "duplicate_key": (b"\x80\x02}(U\x01aNU\x01aNX\x01\x00\x00\x00bNX\x01\x00\x00\x00bNu.", "duplicate_key"),
}


@pytest.mark.parametrize(("pickled", "code"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_pickles(pickled: bytes, code: str, torch_zip, refused) -> None:
    start = time.process_time()
    assert refused(torch_zip(pickled, {})).code == code
    assert (
        time.process_time() - start < 10.0
    )  # 0.2 s in the parser; a test process has a large heap to collect


def test_a_million_keys_are_refused_quickly(assemble, torch_zip, refused) -> None:
    pickled = b"\x80\x02}(" + b"".join(assemble.text(str(index)) + b"N" for index in range(400_000)) + b"u."
    start = time.process_time()
    with untraced():
        assert refused(torch_zip(pickled, {})).code == "limit_exceeded"
    assert (
        time.process_time() - start < 10.0
    )  # 0.2 s in the parser; a test process has a large heap to collect


@pytest.mark.parametrize("name", ["../../etc/passwd", "a b", "a\nb", "", "w" * 257, "naïve"])
def test_tensor_names_are_checked(name: str, assemble, torch_zip, refused) -> None:
    assert refused(torch_zip(assemble.state((name, assemble.tensor())))).code == "key_invalid"
