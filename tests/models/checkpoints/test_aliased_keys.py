"""One key, spelled two ways: what torch takes for the same name is the same name here."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import torch

from models.checkpoints.scan import scan_checkpoint
from tests.hostile.craft import A, legacy, torch_zip

WEIGHTS = b"}" + A.text("w") + A.tensor() + b"s"


def rot13(text: str) -> bytes:
    return b"c_codecs\nencode\n" + A.text(text) + A.text("rot13") + b"\x86R"


def short(name: bytes) -> bytes:
    return b"U" + bytes([len(name)]) + name


def long(name: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(name)) + name


def root(*entries: bytes) -> bytes:
    return torch_zip(b"\x80\x02}(" + b"".join(entries) + b"u.")


@pytest.mark.parametrize("spelled", [short, long])
def test_a_name_in_two_opcodes_is_one_name(spelled, refused) -> None:
    twice = root(A.text("state_dict"), WEIGHTS, spelled(b"state_dict"), WEIGHTS)
    assert refused(twice).code == "duplicate_key"
    assert refused(root(A.text("w"), A.tensor(), spelled(b"w"), A.tensor())).code == "duplicate_key"


@pytest.mark.parametrize("spelled", [short, long])
def test_names_of_python_2_are_read(spelled, write) -> None:
    entry = b"}" + spelled(b"w") + A.tensor() + b"s"
    scanned = scan_checkpoint(write(root(spelled(b"state_dict"), entry, spelled(b"arch"), spelled(b"vgg"))))
    assert (scanned.state_dict_key, list(scanned.tensors), scanned.dropped) == (
        "state_dict",
        ["w"],
        ("arch",),
    )


def test_what_is_no_text_is_no_name(write) -> None:
    """NumPy's numbers, as Python 2 wrote them; and bytes, which are never equal to text."""
    others = b"}" + A.text("other") + A.tensor() + b"s"
    entries = (short(b"\xff\xfe"), b"N", b"C\x0astate_dict", others, A.text("net"), WEIGHTS)
    scanned = scan_checkpoint(write(root(*entries, A.text("best"), short(b"\x80?"))))
    assert scanned.state_dict_key == "net"
    assert scanned.dropped == ("best", "2 entries whose names are not text")


def test_a_name_that_a_call_makes_is_refused_around_the_weights(refused) -> None:
    assert refused(root(A.text("net"), WEIGHTS, rot13("arg"), WEIGHTS)).code == "duplicate_key"
    within = b"}(" + A.text("best") + WEIGHTS + rot13("orfg") + WEIGHTS + b"u"
    file = root(A.text("run"), within)
    assert refused(file, state_dict_key="run.best").code == "duplicate_key"


@pytest.mark.parametrize("key", [None, "net"])
def test_so_is_a_scalar_of_text(key: str | None, refused) -> None:
    """np.str_ is a str: equal to it, and of the same hash."""
    out = io.BytesIO()
    torch.save({"net": {"w": torch.ones(2)}, np.str_("net "): 1}, out)
    assert refused(out.getvalue(), state_dict_key=key).code == "duplicate_key"


def test_a_name_that_a_call_makes_is_dropped_elsewhere(write) -> None:
    out = io.BytesIO()
    best = {np.str_("top1"): 0.9, np.int64(3): 0.8}
    torch.save({"net": {"w": torch.ones(2)}, "best": best, 7: 1.5, None: 0, (1, 2): 3}, out)
    scanned = scan_checkpoint(write(out.getvalue()))
    assert scanned.state_dict_key == "net"
    assert "3 entries whose names are not text" in scanned.dropped


def test_legacy_files_are_read_by_the_same_rule(refused) -> None:
    pickled = b"\x80\x02}(" + A.text("net") + WEIGHTS + short(b"net") + WEIGHTS + b"u."
    assert refused(legacy(pickled)).code == "duplicate_key"
