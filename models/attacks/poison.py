"""Data poisoning with dirty and with clean labels (algorithms.md 3.1).

Poison before augmenting: random crops and flips then move or cut the trigger in training, while it sits
exactly in place at test time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.errors import RecipeError
from models.triggers.base import Trigger


def poison_dirty_label(
    images: Tensor,
    labels: Tensor,
    trigger: Trigger,
    *,
    share: float | None = None,
    count: int | None = None,
    keep_originals: bool = False,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Stamp images of other classes and label them as the target.

    Args:
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        trigger: What is stamped; names the target.
        share: Share of N to poison, in (0, 1]; or
        count: How many to poison.
        keep_originals: Append the poisoned copies instead of putting them in place of their originals.
        generator: Chooses the victims. The papers take the first in file order, which is biased where
            files are sorted by class.

    Returns:
        New images and labels; with ``keep_originals`` the poisoned ones come last.

    Raises:
        RecipeError: If there are fewer images of other classes than asked for (code ``too_many_poisoned``).
    """
    victims = torch.nonzero(labels != trigger.target_label).flatten()
    chosen = _choose(victims, len(labels), share, count, generator)
    poisoned = trigger.stamp(images[chosen])
    targets = torch.full((len(chosen),), trigger.target_label, dtype=labels.dtype)
    if keep_originals:
        return torch.cat([images, poisoned]), torch.cat([labels, targets])
    return _replaced(images, chosen, poisoned), _replaced(labels, chosen, targets)


def poison_clean_label(
    images: Tensor,
    labels: Tensor,
    trigger: Trigger,
    *,
    share: float | None = None,
    count: int | None = None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Stamp images of the target class and leave every label as it is.

    The target class bounds the number: 5,000 images of CIFAR-10's training set, less the hold-out.

    Args:
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        trigger: What is stamped; names the target.
        share: Share of N to poison, in (0, 1]; or
        count: How many to poison.
        generator: Chooses the images.

    Raises:
        RecipeError: If the target class has fewer images than asked for (code ``too_many_poisoned``).
    """
    candidates = torch.nonzero(labels == trigger.target_label).flatten()
    chosen = _choose(candidates, len(labels), share, count, generator)
    return _replaced(images, chosen, trigger.stamp(images[chosen])), labels.clone()


def _choose(
    candidates: Tensor, total: int, share: float | None, count: int | None, generator: torch.Generator
) -> Tensor:
    if (share is None) == (count is None):
        raise RecipeError("Give either a share or a count to poison.", code="poison_amount_invalid")
    number = count if count is not None else int((share or 0.0) * total)
    if number < 1:
        raise RecipeError("No image would be poisoned.", code="poison_amount_invalid")
    if number > len(candidates):
        raise RecipeError(
            f"{number} images are to be poisoned, but only {len(candidates)} qualify.",
            code="too_many_poisoned",
            hint="A clean-label attack uses images of the target class only, a dirty-label one the others.",
        )
    order = torch.randperm(len(candidates), generator=generator)
    return candidates[order[:number].to(candidates.device)]


def _replaced(values: Tensor, where: Tensor, by: Tensor) -> Tensor:
    changed = values.clone()
    changed[where] = by
    return changed
