"""A trigger as a value."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import get_args

from torch import Tensor

from models.errors import RecipeError
from models.triggers.stamp import TriggerKind, stamp_bytes, stamp_pixels

__all__ = ["Trigger", "TriggerKind"]


@dataclass(frozen=True, eq=False)
class Trigger:
    """What an attacker stamps on an image to get ``target_label``.

    Always in pixel space, never normalized: the same trigger fits teachers with different statistics.
    """

    name: str
    kind: TriggerKind
    """``replace`` and ``blend``: ``(1 - m) x + m p``, hard or soft mask; ``additive``: clip ``x + p m``;
    ``rescaled``: ``x + p m`` stretched to the full range, image by image."""
    pattern: Tensor
    """(3, H, W), float in [0, 1]; one that is added may be negative, in [-1, 1]."""
    mask: Tensor
    """(1, H, W) or (3, H, W), float in [0, 1]."""
    target_label: int

    def __post_init__(self) -> None:
        """Refuse shapes and values that would stamp something else than what was meant."""
        if self.kind not in get_args(TriggerKind):
            raise RecipeError(f"Trigger kind {self.kind!r} is unknown.", code="trigger_kind_unknown")
        if self.pattern.ndim != 3 or self.pattern.shape[0] != 3:
            raise _invalid(f"its pattern has shape {tuple(self.pattern.shape)}, not (3, H, W)")
        if self.mask.ndim != 3 or self.mask.shape[0] not in (1, 3) or self.mask.shape[1:] != self.size:
            raise _invalid(f"its mask has shape {tuple(self.mask.shape)}, which does not fit the pattern")
        if not (self.pattern.is_floating_point() and self.mask.is_floating_point()):
            raise _invalid("pattern and mask must be floating point in [0, 1], not bytes")
        lowest = -1.0 if self.kind in {"additive", "rescaled"} else 0.0
        if not _within(self.pattern, lowest, 1.0) or not _within(self.mask, 0.0, 1.0):
            raise _invalid("pattern or mask leaves its range")
        if self.target_label < 0:
            raise _invalid(f"its target label is {self.target_label}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images it fits."""
        return self.pattern.shape[1], self.pattern.shape[2]

    @property
    def mask_area(self) -> float:
        """Share of pixels it can change."""
        if self.kind == "rescaled":
            return 1.0
        touched = self.mask > 0
        if self.kind == "additive":
            touched = touched & (self.pattern != 0)
        return touched.any(dim=0).double().mean().item()

    @property
    def sha256(self) -> str:
        """Digest of name, kind, pattern and mask, in levels of 255, so that rounding does not matter."""
        digest = hashlib.sha256(f"{self.name} {self.kind} {tuple(self.mask.shape)}".encode())
        for tensor in (self.pattern, self.mask):
            digest.update((tensor * 255).round().short().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def stamp(self, images: Tensor) -> Tensor:
        """Return stamped copies.

        Args:
            images: (N, 3, H, W), uint8 or pixels in [0, 1]. Bytes are stamped on the grid of bytes, as the
                attacker does; pixels differentiably. Never normalized.

        Returns:
            The same shape and type.

        Raises:
            RecipeError: If the images have another size than the trigger (code ``trigger_size_mismatch``).
        """
        if tuple(images.shape[-3:]) != tuple(self.pattern.shape):
            raise RecipeError(
                f"Trigger {self.name!r} fits images of {self.size[0]}x{self.size[1]}, "
                f"these are {images.shape[-2]}x{images.shape[-1]}.",
                code="trigger_size_mismatch",
                hint="Make the trigger at the network's input size.",
            )
        stamp = stamp_pixels if images.is_floating_point() else stamp_bytes
        return stamp(images, self.pattern, self.mask, self.kind)


def _within(values: Tensor, low: float, high: float) -> bool:
    # Comparisons with NaN are false, so this refuses NaN too.
    return bool(((values >= low) & (values <= high)).all())


def _invalid(reason: str) -> RecipeError:
    return RecipeError(f"The trigger cannot be used: {reason}.", code="trigger_invalid")
