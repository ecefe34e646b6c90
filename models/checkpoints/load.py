"""From canonical weights to a teacher. The only bytes torch ever sees are those our own reader wrote."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch

from models.architectures import PixelClassifier, StagedClassifier, build
from models.architectures.library import constant_buffers
from models.checkpoints.codes import rejection
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.results.inspection import CheckpointInspection


@dataclass(frozen=True, eq=False)
class Teacher:
    """A network with everything one must know to use it."""

    network: StagedClassifier
    """In evaluation mode, float32; takes normalized images."""
    normalization: Normalization
    spec: ArchitectureSpec

    @property
    def device(self) -> torch.device:
        """Where the weights are, and so where every search and student of it computes."""
        return next(self.network.parameters()).device

    def pixel_classifier(self) -> PixelClassifier:
        """Return the network behind its normalization, taking pixels in [0, 1]; weights are shared."""
        return PixelClassifier(self.network, self.normalization)


def load_teacher(
    canonical_path: Path, inspection: CheckpointInspection, *, device: torch.device | str = "cpu"
) -> Teacher:
    """Build the inspected architecture and load the canonical weights strictly.

    float16, bfloat16 and float64 weights become float32.

    Args:
        canonical_path: What ``inspect_checkpoint`` wrote.
        inspection: What it returned for that file.
        device: Where to put the weights.

    Raises:
        CheckpointRejected: ``canonical_changed`` if the file is not the one that was inspected.
    """
    content = canonical_path.read_bytes()
    if hashlib.sha256(content).hexdigest() != inspection.canonical_sha256:
        raise rejection("canonical_changed", "The canonical file has not the SHA-256 of its inspection.")
    network = build(inspection.architecture)
    network.load_state_dict({**safetensors.torch.load(content), **constant_buffers(network)}, strict=True)
    return Teacher(network.eval().to(device), inspection.normalization, inspection.architecture)
