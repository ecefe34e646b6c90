"""The owner's labelled images, divided once: one part to train on, the other to measure on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.data.split import split_for_measuring
from models.distillation.labelled_batches import check_classes
from models.engine.seed import derive_seed
from models.errors import RecipeError
from models.recipes.protect import ProtectRecipe, check_protection


@dataclass(frozen=True, eq=False)
class ProtectionSplit:
    """The owner's images, divided; images are uint8 (N, 3, S, S), labels int64 (N,)."""

    images: Tensor
    labels: Tensor
    held_out_images: Tensor
    held_out_labels: Tensor


def split_images(
    original: Teacher, data: AuditData | ProtectionSplit, recipe: ProtectRecipe, *, seed: int
) -> ProtectionSplit:
    """Divide the owner's images class by class; leave alone what is divided already.

    Raises:
        RecipeError: ``data_missing`` without labelled images, ``labels_mismatch`` if a label is none of the
            network's classes, ``too_few_images`` if nothing is left to measure on.
    """
    if isinstance(data, ProtectionSplit):
        return data
    check_protection(recipe, labelled=data.images is not None and data.labels is not None)
    assert data.images is not None and data.labels is not None, "checked above"  # noqa: S101
    check_classes(data.labels, original.spec.num_classes)
    training, held_out = _split(data.labels, recipe, seed)
    return ProtectionSplit(
        data.images[training], data.labels[training], data.images[held_out], data.labels[held_out]
    )


def _split(labels: Tensor, recipe: ProtectRecipe, seed: int) -> tuple[Tensor, Tensor]:
    if len(labels):
        share, stream = recipe.holdout_share, derive_seed(seed, "protection split")
        training, held_out = split_for_measuring(labels, share=share, seed=stream)
        if len(held_out):
            return training, held_out
    raise RecipeError(
        f"Of {len(labels)} labelled images none is left to measure on.",
        code="too_few_images",
        hint="Give at least 100 images per class.",
    )
