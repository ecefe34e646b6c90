"""CIFAR batches that mean harm or are damaged: each is refused with its code and leaves nothing behind."""

from __future__ import annotations

import pickle
import struct
import time
from collections import OrderedDict
from datetime import date

import numpy as np
import pytest
from numpy._core.multiarray import _reconstruct

from models.data.limits import ArchiveLimits
from tests.models.data.cifar_files import (
    Python2,
    archive10,
    as_bytes_keys,
    batch10,
    pixels,
)

GOOD = Python2.dumps(batch10())
ROW = struct.pack("<I", 4 * 3072)


class Payload:
    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call  # type: ignore[return-value]


def calling(function: object, *arguments: object) -> bytes:
    return pickle.dumps(batch10(data=Payload(function, *arguments)), protocol=2)


def named(module: str, name: str) -> bytes:
    """A batch whose array is made by another name."""
    return GOOD.replace(b"cnumpy.core.multiarray\n_reconstruct\n", f"c{module}\n{name}\n".encode())


CODE = {
    "exec": calling(exec, "raise SystemExit"),
    "getattr": calling(getattr, 1, "real"),
    "os_system": named("posix", "system"),
    "codecs": calling(__import__("codecs").encode, "x", "latin1"),
    "ordered_dict": pickle.dumps(OrderedDict(data=1), protocol=2),
    "date": calling(date, 2020, 1, 1),
    "scalar": pickle.dumps(batch10(4, labels=list(np.arange(4))), protocol=4),
    "frombuffer": pickle.dumps(batch10(data=Payload(np.frombuffer, b"x")), protocol=4),
    "dotted_name": named("numpy", "core.multiarray._reconstruct"),
    "other_module": named("numpy.core", "_reconstruct"),
    "torch_storage": named("torch", "FloatStorage"),
    "checkpoints_own_call": named("torch._utils", "_rebuild_tensor_v2"),
    "instance": b"\x80\x02(iposix\nsystem\n.",
}


@pytest.mark.parametrize("content", CODE.values(), ids=CODE.keys())
def test_names_that_make_no_array_are_refused_and_named(content: bytes, refused) -> None:
    error = refused(content)
    assert error.code == "batch_code"
    assert "asks to call" in error.detail


def changed(old: bytes, new: bytes) -> bytes:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


SHAPE = b"K\x04M\x00\x0c\x86"
STATE = b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
MALFORMED = {
    "more_rows_than_bytes": changed(SHAPE, b"K\x05M\x00\x0c\x86"),
    "fewer_rows_than_bytes": changed(SHAPE, b"K\x03M\x00\x0c\x86"),
    "two_billion_rows": changed(SHAPE, b"J\xff\xff\xff\x7fM\x00\x0c\x86"),
    "negative_shape": changed(SHAPE, b"J\xfc\xff\xff\xffJ\x00\xf4\xff\xff\x86"),
    "rows_and_columns_exchanged": changed(SHAPE, b"M\x00\x0cK\x04\x86"),
    "one_dimension": changed(SHAPE, b"M\x00\x30\x85"),
    "four_dimensions": as_bytes_keys(batch10(data=pixels(4).reshape(4, 3, 32, 32))),
    "signed_bytes": changed(b"U\x02u1", b"U\x02i1"),
    "objects": changed(b"U\x02u1", b"U\x02O8"),
    "floats": as_bytes_keys(batch10(data=pixels(4).astype("f4"))),
    "dtype_with_fields": changed(STATE, b"(K\x03U\x01|}}NJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"),
    "dtype_state_too_short": changed(STATE, b"(K\x03U\x01|NNNJ\xff\xff\xff\xfftb"),
    "array_state_too_long": changed(b"tbU\x09filenames", b"NtbU\x09filenames"),
    "array_without_state": as_bytes_keys(batch10(data=Payload(_reconstruct, np.ndarray, (0,), b"b"))),
    "array_of_a_subclass": changed(b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"),
    "array_of_one": changed(b"K\x00\x85U\x01b\x87R", b"K\x01\x85U\x01b\x87R"),
    "array_without_a_call": changed(b"K\x00\x85U\x01b\x87R", b"K\x00\x85U\x01b\x87\x81"),
    "dtype_instead_of_array": changed(b"U\x02u1K\x00K\x01\x87R", b"U\x02u1K\x00K\x01\x87R0N"),
    "state_set_twice": changed(b"tbU\x09filenames", b"tb(K\x01NtbU\x09filenames"),
    "no_array": Python2.dumps(batch10(data="pixels")),
    "no_data": Python2.dumps({"labels": [1]}),
    "a_list": Python2.dumps([1, 2, 3]),
    "two_values": changed(b"\x80\x02}", b"\x80\x02N}"),
    "bytes_behind": GOOD + b"x",
    "a_second_pickle_behind": GOOD + GOOD,
    "key_twice": pickle.dumps({b"data": 1, "data": 2}, protocol=4),
    "recalls_nothing": b"\x80\x02h\x07.",
    "persistent": b"\x80\x02K\x01Q.",
    "extension": b"\x80\x02\x82\x01.",
    "long_integer": b"\x80\x02\x8a\xff" + bytes(255) + b".",
    "empty_stack": b"\x80\x02.",
    "nested": b"\x80\x02" + b"]" * 40 + b"a" * 39 + b".",
    "old_protocol": b"\x80\x02(dp0\nS'data'\np1\n.",
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
def test_pickles_of_another_form_are_refused(content: bytes, refused) -> None:
    assert refused(content).code == "batch_malformed"


def test_a_batch_cut_anywhere_is_refused(refused) -> None:
    for end in range(2, len(GOOD), 1009):
        assert refused(GOOD[:end]).code == "batch_truncated"


def test_a_string_that_claims_four_gigabytes_is_refused_at_once(refused) -> None:
    started = time.process_time()
    assert refused(changed(b"T" + ROW, b"T\xff\xff\xff\xff")).code in {
        "batch_truncated",
        "data_limit_exceeded",
    }
    assert time.process_time() - started < 1


LABELS = {
    "too_few": [0, 1, 2],
    "too_many": [0, 1, 2, 3, 4],
    "text": ["a", "b", "c", "d"],
    "negative": [0, 1, 2, -1],
    "bool": [True, False, True, False],
    "nested": [[0], [1], [2], [3]],
    "none": None,
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_labels_that_do_not_fit_are_refused(labels: object, refused) -> None:
    assert refused(pickle.dumps(batch10(labels=labels), protocol=4)).code == "batch_labels"


def test_labels_of_both_kinds_are_refused(refused) -> None:
    assert refused(Python2.dumps(batch10(fine_labels=[0, 1, 2, 3]))).code == "batch_labels"


@pytest.mark.parametrize(
    ("content", "limits"),
    [
        (Python2.dumps(batch10(labels=[0, 1, 2, 1000])), ArchiveLimits()),
        (GOOD, ArchiveLimits(members=3)),
        (GOOD, ArchiveLimits(opcodes=50)),
        (GOOD, ArchiveLimits(memo_entries=5)),
        (GOOD, ArchiveLimits(decoded_bytes=3 * 3072)),
        (GOOD, ArchiveLimits(file_bytes=100)),
        (archive10(), ArchiveLimits(tar_members=3)),
        (archive10(), ArchiveLimits(decoded_bytes=20_000)),
        (archive10(), ArchiveLimits(classes=9)),
    ],
)
def test_more_than_the_limits_is_refused(content: bytes, limits: ArchiveLimits, refused) -> None:
    assert refused(content, limits=limits).code == "data_limit_exceeded"


def test_a_batch_without_images_holds_none(refused) -> None:
    assert refused(Python2.dumps(batch10(0))).code == "no_images"
