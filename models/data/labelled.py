"""Images with their labels, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from models.errors import DataRejected


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images of one size with a label each."""

    images: Tensor
    """uint8 (N, 3, S, S)."""
    labels: Tensor
    """int64 (N,)."""

    def __post_init__(self) -> None:
        """Refuse labels that belong to no image, and images that are no bytes."""
        if len(self.labels) != len(self.images):
            raise DataRejected(
                f"There are {len(self.labels)} labels for {len(self.images)} images.",
                code="labels_mismatch",
                hint="Give one label per image.",
            )
        if self.images.is_floating_point():
            raise DataRejected("The images are no bytes.", code="images_not_bytes")

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)
