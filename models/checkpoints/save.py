"""Writing a trained student as a file that says by itself how to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from models.architectures import StagedClassifier
from models.checkpoints.canonical import write_safetensors
from models.checkpoints.tensor_spec import DTYPES
from models.checkpoints.weights import WeightTensor
from models.recipes.architecture import ArchitectureSpec, Normalization

_DTYPES = {getattr(torch, dtype.name): dtype for dtype in DTYPES.values()}


def save_student(
    network: StagedClassifier,
    spec: ArchitectureSpec,
    normalization: Normalization,
    path: Path,
    metadata: Mapping[str, str],
) -> str:
    """Write weights and buffers as safetensors; equal networks and metadata give equal bytes.

    The header's metadata hold architecture, num_classes, input_size, mean and std (JSON lists, in units of
    pixels in [0, 1]) beside the caller's own.

    Args:
        network: On any device; not changed.
        spec: What ``architectures.build`` needs to make it again.
        normalization: What its inputs must go through.
        path: Replaced as a whole, or not at all.
        metadata: Further facts, such as the recipe's hash.

    Returns:
        SHA-256 of the written file, in hex.
    """
    tensors: dict[str, WeightTensor] = {}
    for name, tensor in network.state_dict().items():
        plain = tensor.detach().cpu().contiguous()
        dtype = _DTYPES[plain.dtype]
        # NumPy has no bfloat16; its bits travel as integers.
        array = plain.view(torch.int16).numpy().view("<u2") if dtype.tag == "BF16" else plain.numpy()
        tensors[name] = WeightTensor(dtype, array)
    described = {
        "architecture": spec.name,
        "num_classes": str(spec.num_classes),
        "input_size": str(spec.input_size),
        "mean": json.dumps(normalization.mean),
        "std": json.dumps(normalization.std),
    }
    return write_safetensors(tensors, path, metadata={**metadata, **described})
