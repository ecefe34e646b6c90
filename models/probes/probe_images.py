"""Which images the probes search on, and which others they measure on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.data.bundle import AuditData
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.engine.monitor import Monitor
from models.engine.seed import derive_seed
from models.probes.inverted_images import COUNT, invert_images
from models.recipes.architecture import ArchitectureSpec
from models.recipes.job import Recipe
from models.recipes.ood import PatchStyle
from models.recipes.probe import Surrogates

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
    """``clean images``, ``surrogate patches`` or ``inverted images``."""
    spare: Tensor | None = None
    """int64 indices of the clean images that nothing is measured on; None where others stand in."""

    @property
    def compared(self) -> Tensor:
        """Those of ``search`` on which classes are compared: as many in every audit that has them."""
        return self.search if self.source == "surrogate patches" else self.search[:COMPARED_CLEAN_IMAGES]

    @property
    def tier(self) -> Literal[0, 1, 2]:
        """0: others stand in for clean images; 1: unlabelled clean images; 2: labelled ones."""
        if self.source != "clean images":
            return 0
        return 1 if self.labels is None else 2


def enough_clean_images(data: AuditData) -> bool:
    """Whether the probes search and measure on clean images; else on what stands in for them."""
    return data.images is not None and len(data.images) >= FEWEST_CLEAN_IMAGES


def inverts(data: AuditData, recipe: Recipe) -> bool:
    """Whether images are inverted from the network: that was asked for, and clean ones are missing."""
    return recipe.probe.surrogates == "inverted" and not enough_clean_images(data)


def count_compared(data: AuditData, *, patches: int, surrogates: Surrogates) -> int:
    """Return on how many images classes are compared: the length of ``ProbeImages.compared``."""
    if data.images is None or not enough_clean_images(data):
        return min(COUNT // 2, COMPARED_CLEAN_IMAGES) if surrogates == "inverted" else patches // 2
    return min(len(data.images) // 2, COMPARED_CLEAN_IMAGES)


def images_for(
    classifier: nn.Module,
    spec: ArchitectureSpec,
    data: AuditData,
    recipe: Recipe,
    *,
    patches: int,
    monitor: Monitor,
) -> ProbeImages:
    """Take the clean images, or make what stands in for them.

    Args:
        classifier: The suspect, frozen; what is inverted is inverted from it.
        spec: Its classes and input size.
        data: What the user gave.
        recipe: Seed, style of patches, and whether they are inverted.
        patches: How many patches to cut when they are needed and not inverted.
        monitor: Of the inversion.

    Raises:
        DataRejected: A photograph is too small to cut patches from.
        RecipeError: Inverted images are asked of a network without BatchNorm (code ``batchnorm_missing``) or
            with statistics that are of no images (``batchnorm_unusable``).
        Interrupted: The monitor asked to stop.
    """
    style, seed = recipe.ood.patch_style, derive_seed(recipe.seed, "probe images")
    if not inverts(data, recipe):
        return probe_images(data, size=spec.input_size, patches=patches, style=style, seed=seed)
    made = invert_images(
        classifier,
        num_classes=spec.num_classes,
        size=spec.input_size,
        style=style,
        seed=seed,
        monitor=monitor,
    )
    return ProbeImages(made[: COUNT // 2], made[COUNT // 2 :], None, "inverted images")


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
