"""Images out of a canonical file, as tensors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

#: Images resized together: 1,024 of 64 x 64 take 50 MB as floats.
_BATCH = 1024


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one size, in the order of their names in the archive."""

    images: Tensor
    """uint8 (N, 3, S, S)."""
    labels: Tensor | None
    """int64 (N,), indices into ``classes``."""
    classes: tuple[str, ...]


def load_images(canonical_path: Path, *, size: int) -> ImageSet:
    """Load all images at one size.

    Images of another size are resized with antialiasing, and made square by it, as ``Resize((S, S))`` does.

    Args:
        canonical_path: What ``archive.inspect_dataset`` wrote.
        size: Side S in pixels.
    """
    images: list[Tensor] = []
    positions: list[Tensor] = []
    labels: list[Tensor] = []
    with safe_open(canonical_path, framework="pt") as file:
        classes = tuple(str(name) for name in json.loads(file.metadata()["classes"]))
        for group in _sizes(list(file.keys())):
            images.append(resize(file.get_tensor(f"images.{group}"), size))
            positions.append(file.get_tensor(f"positions.{group}"))
            if classes:
                labels.append(file.get_tensor(f"labels.{group}"))
    order = torch.cat(positions).argsort()
    return ImageSet(torch.cat(images)[order], torch.cat(labels)[order] if labels else None, classes)


def load_photographs(canonical_path: Path) -> list[Tensor]:
    """Load all images as they are: sources to cut patches from.

    Returns:
        uint8 (3, H, W) each, in the order of their names.
    """
    placed: list[tuple[int, Tensor]] = []
    with safe_open(canonical_path, framework="pt") as file:
        for group in _sizes(list(file.keys())):
            places = file.get_tensor(f"positions.{group}").tolist()
            placed.extend(zip(places, file.get_tensor(f"images.{group}").unbind(0), strict=True))
    return [image for _, image in sorted(placed, key=lambda pair: pair[0])]


def resize(images: Tensor, size: int) -> Tensor:
    """Resize uint8 (N, 3, H, W) to uint8 (N, 3, size, size), bilinearly and with antialiasing."""
    if images.shape[-2:] == (size, size):
        return images
    batches = [
        functional.interpolate(
            images[start : start + _BATCH].float(), (size, size), mode="bilinear", antialias=True
        )
        for start in range(0, len(images), _BATCH)
    ]
    return torch.cat([batch.round_().clamp_(0, 255).to(torch.uint8) for batch in batches])


def _sizes(names: list[str]) -> list[str]:
    return sorted(name.removeprefix("images.") for name in names if name.startswith("images."))
