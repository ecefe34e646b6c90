"""Decoded images of one upload, by size, and the canonical file made of them. No torch.

The canonical file is safetensors: for every image size ``WxH``, ``images.WxH`` uint8 (N, 3, H, W) and
``positions.WxH`` int64 (N,), the places of these images in their order; with labels also
``labels.WxH`` int64 (N,). Class names are JSON in the header's metadata.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.checkpoints.canonical import write_safetensors
from models.checkpoints.tensor_spec import DTYPES
from models.checkpoints.weights import WeightTensor
from models.data.decode import Pixels
from models.data.limits import ArchiveLimits, require_within


@dataclass(frozen=True, eq=False)
class ImageGroup:
    """All images of one size."""

    images: Pixels
    """uint8 (N, 3, H, W)."""
    positions: npt.NDArray[np.int64]
    """(N,): places in the order of the upload."""
    labels: npt.NDArray[np.int64] | None
    """(N,), or None without labels."""


@dataclass(slots=True)
class Pictures:
    """Decoded images by size, with their places and labels."""

    images: dict[str, list[Pixels]] = field(default_factory=dict)
    positions: dict[str, list[int]] = field(default_factory=dict)
    labels: dict[str, list[int]] = field(default_factory=dict)
    count: int = 0
    size_bytes: int = 0

    def add(self, pixels: Pixels, label: int | None, limits: ArchiveLimits) -> None:
        """Take one image (H, W, 3).

        Raises:
            DataRejected: ``data_limit_exceeded``.
        """
        self.size_bytes += pixels.nbytes
        require_within(self.size_bytes, limits.decoded_bytes, "The size of all images as pixels, in bytes,")
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        self.images.setdefault(size, []).append(pixels)
        self.positions.setdefault(size, []).append(self.count)
        require_within(len(self.images), limits.sizes, "The number of different image sizes")
        if label is not None:
            self.labels.setdefault(size, []).append(label)
        self.count += 1

    def stack(self) -> dict[str, ImageGroup]:
        """Give the images up, one array for each size: they are in memory once only."""
        return {size: self._stack(size) for size in self.images}

    def _stack(self, size: str) -> ImageGroup:
        images = self.images[size]
        height, width, _ = images[0].shape
        stacked = np.empty((len(images), 3, height, width), np.uint8)
        for index in range(len(images) - 1, -1, -1):
            stacked[index] = images.pop().transpose(2, 0, 1)
        labels = self.labels.get(size)
        return ImageGroup(
            stacked,
            np.array(self.positions[size], "<i8"),
            None if labels is None else np.array(labels, "<i8"),
        )


def write_groups(groups: dict[str, ImageGroup], classes: tuple[str, ...], out_path: Path) -> str:
    """Write the canonical file.

    Args:
        groups: By size.
        classes: Names in label order.
        out_path: Replaced as a whole, or not at all.

    Returns:
        SHA-256 of the written file, in hex.
    """
    tensors: dict[str, WeightTensor] = {}
    for size, group in groups.items():
        tensors[f"images.{size}"] = WeightTensor(DTYPES["U8"], group.images)
        tensors[f"positions.{size}"] = WeightTensor(DTYPES["I64"], group.positions)
        if group.labels is not None:
            tensors[f"labels.{size}"] = WeightTensor(DTYPES["I64"], group.labels)
    return write_safetensors(tensors, out_path, metadata={"classes": json.dumps(classes)})
