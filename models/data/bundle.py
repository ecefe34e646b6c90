"""All images a job may use, in one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from models.errors import DataRejected


@dataclass(frozen=True, eq=False)
class AuditData:
    """What the user gave beside the checkpoint; every part may be absent."""

    images: Tensor | None = None
    """Clean images, uint8 (N, 3, S, S), at the network's input size."""
    labels: Tensor | None = None
    """int64 (N,); only together with ``images``."""
    classes: tuple[str, ...] = ()
    """Names of the labels in their order, if they have names."""
    photographs: list[Tensor] = field(default_factory=list)
    """uint8 (3, H, W), of any size: sources of surrogate patches. Empty: the builtin ones."""

    def __post_init__(self) -> None:
        """Refuse labels that belong to no image."""
        count = 0 if self.images is None else len(self.images)
        if self.labels is not None and len(self.labels) != count:
            raise DataRejected(
                f"There are {len(self.labels)} labels for {count} images.",
                code="labels_mismatch",
                hint="Give one label per image.",
            )
