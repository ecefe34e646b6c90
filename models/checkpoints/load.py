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
    sha256: str | None = None
    """Of its canonical weights; None for a network that no file holds."""

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
        CheckpointRejected: ``canonical_changed`` if the file is not the one that was inspected;
            ``outputs_not_finite`` if nothing can be computed with its weights, finite as they are.
    """
    content = canonical_path.read_bytes()
    if hashlib.sha256(content).hexdigest() != inspection.canonical_sha256:
        raise rejection("canonical_changed", "The canonical file has not the SHA-256 of its inspection.")
    network = build(inspection.architecture)
    network.load_state_dict({**safetensors.torch.load(content), **constant_buffers(network)}, strict=True)
    teacher = Teacher(
        network.eval().to(device),
        inspection.normalization,
        inspection.architecture,
        inspection.canonical_sha256,
    )
    _require_finite_outputs(teacher)
    return teacher


def _require_finite_outputs(teacher: Teacher) -> None:
    """Look at a black, a white and two noisy images."""
    side = teacher.spec.input_size
    noise = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    images = torch.cat([torch.zeros(1, 3, side, side), torch.ones(1, 3, side, side), noise])
    with torch.no_grad():
        logits = teacher.pixel_classifier()(images.to(teacher.device))
    wrong = int(logits.isfinite().all(1).logical_not().sum())
    if wrong:
        raise rejection(
            "outputs_not_finite",
            f"The outputs for {wrong} of {len(images)} plain images are NaN or infinite.",
        )
