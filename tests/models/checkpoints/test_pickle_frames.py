"""Frames of protocols 4 and 5: opcodes fill them whole, or CPython reads others than we do."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
import torch

from models.checkpoints.scan import scan_checkpoint
from tests.hostile.aliases import STORAGES, frame_cut_short
from tests.hostile.craft import A, torch_zip

ENTRY = b"}" + A.text("w") + A.tensor() + b"s"


def framed(*parts: bytes) -> bytes:
    return b"".join(b"\x95" + struct.pack("<Q", len(part)) + part for part in parts)


def test_torch_reads_other_weights_behind_a_frame_that_cuts_a_text(tmp_path: Path, refused) -> None:
    path = tmp_path / "upload"
    path.write_bytes(torch_zip(frame_cut_short(), STORAGES))
    made = torch.load(path, weights_only=False)
    assert made["state_dict"]["w"].tolist() == [7] * 4
    assert made["model"]["w"].tolist() == [1] * 4
    error = refused(path.read_bytes())
    assert (error.code, "frame" in error.detail) == ("pickle_malformed", True)


@pytest.mark.parametrize(
    "pickled",
    [
        framed(ENTRY[:9]) + ENTRY[9:] + b".",
        framed(ENTRY + b"." + b"N"),
        framed(framed(ENTRY) + b"."),
        b"\x95" + struct.pack("<Q", len(ENTRY)) + framed(ENTRY) + b".",
    ],
    ids=["over_the_end", "behind_stop", "inside_another", "longer_than_another"],
)
def test_a_frame_of_other_than_whole_opcodes_is_refused(pickled: bytes, refused) -> None:
    error = refused(torch_zip(b"\x80\x04" + pickled))
    assert (error.code, "frame" in error.detail) == ("pickle_malformed", True)


def test_a_frame_that_the_file_cannot_hold_is_refused(refused) -> None:
    pickled = b"\x80\x04\x95" + struct.pack("<Q", len(ENTRY) + 2) + ENTRY + b"."
    assert refused(torch_zip(pickled)).code == "pickle_malformed"


@pytest.mark.parametrize("pickled", [framed(ENTRY + b"."), framed(ENTRY, b"."), framed(ENTRY) + b"."])
def test_frames_of_whole_opcodes_are_read(pickled: bytes, write) -> None:
    assert scan_checkpoint(write(torch_zip(b"\x80\x04" + pickled))).tensors["w"].array.tolist() == [1] * 4


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_torch_writes_is_read_in_every_protocol(protocol: int, legacy: bool, write) -> None:
    """With texts and bytes that pickle keeps out of its frames, and more than one frame holds."""
    weights = {f"layer{number}.weight": torch.full((2,), float(number)) for number in range(900)}
    beside = {"text": "x" * 200_000, "bytes": b"y" * 70_000, "numbers": list(range(30_000))}
    out = io.BytesIO()
    torch.save(
        {"model": weights, **beside},
        out,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=not legacy,
    )
    scanned = scan_checkpoint(write(out.getvalue()))
    assert scanned.tensors.keys() == weights.keys()
    assert scanned.tensors["layer899.weight"].array.tolist() == [899, 899]
