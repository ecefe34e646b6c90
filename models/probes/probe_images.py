"""Which images the probes search on, and which others they measure on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from models.data.bundle import AuditData
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.recipes.ood import PatchStyle

#: Fewer clean images than this are not enough to search on half of them and measure on the other half.
FEWEST_CLEAN_IMAGES = 50

#: More add nothing to a search of some thousand stamped images, and cost measuring time.
MOST_CLEAN_IMAGES = 2_000

#: Clean images that the comparison of classes searches on, if there are twice as many. Among fewer images
#: smaller patches do, so scores of a hundred and of a thousand images cannot be compared: one clean network
#: of digits had p = .05 with 100 images and .45 with 200, among the same references.
COMPARED_CLEAN_IMAGES = 100


@dataclass(frozen=True, eq=False)
class ProbeImages:
    """Two disjoint sets of images, uint8 (N, 3, S, S)."""

    search: Tensor
    held_out: Tensor
    labels: Tensor | None
    """int64, of ``held_out``. Without them, the teacher's predictions say which images are the target's."""
    source: str
    """``clean images`` or ``surrogate patches``."""
    spare: Tensor | None = None
    """int64 indices of the clean images that nothing is measured on; None where patches stand in."""

    @property
    def compared(self) -> Tensor:
        """Those of ``search`` on which classes are compared: as many in every audit that has them."""
        return self.search if self.source == "surrogate patches" else self.search[:COMPARED_CLEAN_IMAGES]

    @property
    def tier(self) -> Literal[0, 1, 2]:
        """0: patches stand in for clean images; 1: unlabelled clean images; 2: labelled ones."""
        if self.source == "surrogate patches":
            return 0
        return 1 if self.labels is None else 2


def enough_clean_images(data: AuditData) -> bool:
    """Whether the probes search and measure on clean images; else on patches."""
    return data.images is not None and len(data.images) >= FEWEST_CLEAN_IMAGES


def count_compared(data: AuditData, *, patches: int) -> int:
    """Return on how many images classes are compared: the length of ``ProbeImages.compared``."""
    if data.images is None or not enough_clean_images(data):
        return patches // 2
    return min(len(data.images) // 2, COMPARED_CLEAN_IMAGES)


def probe_images(data: AuditData, *, size: int, patches: int, style: PatchStyle, seed: int) -> ProbeImages:
    """Split the clean images, or patches where there are too few of those.

    Args:
        data: What the user gave.
        size: Side of the network's input.
        patches: How many patches to cut when they are needed.
        style: How patches look.
        seed: Of the split and the patches.

    Raises:
        DataRejected: A photograph is too small to cut patches from.
    """
    if data.images is None or not enough_clean_images(data):
        photographs = data.photographs or builtin_photographs()
        cut = make_patches(photographs, count=patches, size=size, seed=seed, style=style)
        return ProbeImages(cut[: patches // 2], cut[patches // 2 :], None, "surrogate patches")
    # Archives list their images class by class: without a shuffle one half would lack some classes.
    shuffled = torch.randperm(len(data.images), generator=torch.Generator().manual_seed(seed))
    order, rest = shuffled[:MOST_CLEAN_IMAGES], shuffled[MOST_CLEAN_IMAGES:]
    search, held_out = order[: len(order) // 2], order[len(order) // 2 :]
    labels = None if data.labels is None else data.labels[held_out]
    spare = torch.cat([search, rest])
    return ProbeImages(data.images[search], data.images[held_out], labels, "clean images", spare)
