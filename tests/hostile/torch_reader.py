"""What ``torch.load`` makes of files: a process to throw away, ``python -m tests.hostile.torch_reader``.

Reads ``[[path, ours], ...]`` as JSON and answers with one document for each: ``{"refused": why}``, or the
tensors at the top (under an empty name) and under every name there, as type, shape and SHA-256. What
``weights_only`` refuses is read without it only if the file is one that we built.
"""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import torch


def tensors(value: object) -> dict[str, list[Any]] | None:
    """Describe the tensors of a mapping; None for anything else."""
    if not isinstance(value, Mapping):
        return None
    return {
        name: [str(one.dtype), list(one.shape), _sha256(one)]
        for name, one in value.items()
        if isinstance(name, str) and isinstance(one, torch.Tensor)
    }


def _sha256(tensor: torch.Tensor) -> str:
    raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(raw).hexdigest()


def read(path: str, ours: bool) -> dict[str, Any]:
    """Load one file as a user would."""
    refused = ""
    for weights_only in (True, False) if ours else (True,):
        try:
            made = torch.load(path, weights_only=weights_only)
        except Exception as error:  # any is a refusal
            refused = refused or f"{type(error).__name__}: {error}"[:200]
            continue
        entries = made.items() if isinstance(made, Mapping) else ()
        found = {"": tensors(made), **{name: tensors(one) for name, one in entries if isinstance(name, str)}}
        return {"refused": refused, "tensors": {name: one for name, one in found.items() if one}}
    return {"refused": refused, "tensors": None}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    json.dump([read(path, ours) for path, ours in json.load(sys.stdin)], sys.stdout)
