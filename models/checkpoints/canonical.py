"""The one form in which the rest of the system knows weights and images: safetensors with sorted names.

Equal contents give equal bytes, so a file is named by its SHA-256. The safetensors library writes metadata in
random order; this writer does not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.checkpoints.digest import Buffer, Digester
from models.checkpoints.scan import ScannedCheckpoint
from models.checkpoints.tensor_spec import DTYPES
from models.checkpoints.weights import WeightTensor


def write_canonical(
    scanned: ScannedCheckpoint,
    mapping: Mapping[str, str | None],
    out_path: Path,
    *,
    digester: Digester | None = None,
) -> str:
    """Write a checkpoint's weights under their canonical names.

    Args:
        scanned: The accepted weights.
        mapping: The file's name of every canonical name; None stands for a step counter of 0.
        out_path: Replaced as a whole, or not at all.
        digester: Hashes what is written; None does so before it is written.

    Returns:
        SHA-256 of the written file, in hex.
    """
    counter = WeightTensor(DTYPES["I64"], np.zeros((), "<i8"))
    tensors = {
        name: scanned.tensors[source] if source is not None else counter for name, source in mapping.items()
    }
    return write_safetensors(tensors, out_path, digester=digester)


def write_safetensors(
    tensors: Mapping[str, WeightTensor],
    out_path: Path,
    *,
    metadata: Mapping[str, str] | None = None,
    digester: Digester | None = None,
) -> str:
    """Write tensors contiguously, in the order of their names.

    Args:
        tensors: What to write; little-endian, C-contiguous.
        out_path: Replaced as a whole, or not at all.
        metadata: Text for the header's ``__metadata__``.
        digester: Hashes what is written; None does so before it is written.

    Returns:
        SHA-256 of the written file, in hex.
    """
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    end = 0
    for name, weight in sorted(tensors.items()):
        begin, end = end, end + weight.array.nbytes
        header[name] = {
            "dtype": weight.dtype.tag,
            "shape": list(weight.array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants the data to start at a multiple of 8
    parts: list[Buffer] = [len(text).to_bytes(8, "little"), text]
    parts += [weight.array.reshape(-1).view(np.uint8).data for _, weight in sorted(tensors.items())]
    sha256 = (digester or Digester()).begin(parts)
    partial = out_path.with_name(f"{out_path.name}.partial")
    try:
        with partial.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out_path)
    finally:
        partial.unlink(missing_ok=True)
    return sha256()
