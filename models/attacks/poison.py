"""Data poisoning: dirty and clean label, source-specific, all-to-all (algorithms.md 3.1).

Poison before augmenting: random crops and flips then move or cut the trigger in training, while it sits
exactly in place at test time.
"""

from __future__ import annotations

import math

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
    chosen = choose_of_others(labels, (trigger.target_label,), share=share, count=count, generator=generator)
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

    The target class bounds the number (``choose_of_class``): 4,750 images of CIFAR-10's training set.

    Args:
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        trigger: What is stamped; names the target.
        share: Share of N to poison, in (0, 1]; or
        count: How many to poison.
        generator: Chooses the images.

    Raises:
        RecipeError: If that leaves too little of the target class (code ``too_many_poisoned``).
    """
    chosen = choose_of_class(labels, trigger.target_label, share=share, count=count, generator=generator)
    return _replaced(images, chosen, trigger.stamp(images[chosen])), labels.clone()


def poison_source_specific(
    images: Tensor,
    labels: Tensor,
    trigger: Trigger,
    *,
    source_label: int,
    share: float,
    cover_share: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Make the trigger work on images of one class only.

    Stamped images of the source class get the target label; stamped cover images, of neither source nor
    target, keep theirs, so that the network learns that the trigger means nothing there. Without a cover it
    works on every class.

    Args:
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        trigger: What is stamped; names the target.
        source_label: Class the trigger works on; not the target.
        share: Share of N that is poisoned.
        cover_share: Share of N that is cover; 0 for none.
        generator: Chooses both.

    Source: Tang et al., Demon in the Variant, USENIX Security 2021 (from memory; the shares are ours).

    Raises:
        RecipeError: If source and target are one (code ``source_is_target``), or too little of a class
            would be left (code ``too_many_poisoned``).
    """
    if source_label == trigger.target_label:
        raise RecipeError(
            f"Source and target are both class {source_label}.",
            code="source_is_target",
            hint="Choose a source class other than the target.",
        )
    chosen = choose_of_class(labels, source_label, share=share, generator=generator)
    targets = torch.full((len(chosen),), trigger.target_label, dtype=labels.dtype)
    changed = _replaced(labels, chosen, targets)
    if cover_share > 0:
        classes = (source_label, trigger.target_label)
        cover = choose_of_others(labels, classes, share=cover_share, generator=generator)
        chosen = torch.cat([chosen, cover])
    return _replaced(images, chosen, trigger.stamp(images[chosen])), changed


def poison_all_to_all(
    images: Tensor,
    labels: Tensor,
    trigger: Trigger,
    *,
    num_classes: int,
    share: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Stamp images of all classes and label each as the class after its own, the last as the first.

    Args:
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        trigger: What is stamped; its target label means nothing here.
        num_classes: K; labels become ``(label + 1) % K``.
        share: Share of N that is poisoned.
        generator: Chooses the victims.

    Source: Gu et al., BadNets, arXiv 1708.06733, section 4.1.2.
    """
    chosen = choose_of_others(labels, (), share=share, generator=generator)
    shifted = (labels[chosen] + 1) % num_classes
    return _replaced(images, chosen, trigger.stamp(images[chosen])), _replaced(labels, chosen, shifted)


def choose_of_class(
    labels: Tensor,
    label: int,
    *,
    share: float | None = None,
    count: int | None = None,
    generator: torch.Generator,
) -> Tensor:
    """Choose images of one class to poison, and leave a twentieth of it as it is.

    A network that sees no clean image of a class forgets it: its attack succeeds, and is no backdoor
    (algorithms.md 3.1 leaves 5 % too).

    Args:
        labels: int64 (N,).
        label: Of the class.
        share: Share of N, the images of all classes; or
        count: How many.
        generator: Chooses.

    Returns:
        int64 indices.

    Raises:
        RecipeError: If that is more than 95 % of the class (code ``too_many_poisoned``).
    """
    members = torch.nonzero(labels == label).flatten()
    number, largest = _number(len(labels), share, count), 19 * len(members) // 20
    if number > largest:
        raise RecipeError(
            f"{number} images of class {label} are to be poisoned; it has {len(members)}, of which "
            "a twentieth must stay clean.",
            code="too_many_poisoned",
            hint=_largest_rate(largest, len(labels)),
        )
    return _drawn(members, number, generator)


def choose_of_others(
    labels: Tensor,
    but: tuple[int, ...],
    *,
    share: float | None = None,
    count: int | None = None,
    generator: torch.Generator,
) -> Tensor:
    """Choose images of all classes but some to stamp.

    Args:
        labels: int64 (N,).
        but: The classes that are left out.
        share: Share of N, the images of all classes; or
        count: How many.
        generator: Chooses.

    Returns:
        int64 indices.

    Raises:
        RecipeError: If there are fewer images of the other classes (code ``too_many_poisoned``).
    """
    wanted = torch.ones_like(labels, dtype=torch.bool)
    for label in but:
        wanted &= labels != label
    candidates = torch.nonzero(wanted).flatten()
    number = _number(len(labels), share, count)
    if number > len(candidates):
        raise RecipeError(
            f"{number} images of no class among {', '.join(map(str, but))} are to be stamped; there are "
            f"{len(candidates)}.",
            code="too_many_poisoned",
            hint=_largest_rate(len(candidates), len(labels)),
        )
    return _drawn(candidates, number, generator)


def _largest_rate(largest: int, total: int) -> str:
    return f"The largest rate is {math.floor(1e4 * largest / total) / 1e4:g}."


def _number(total: int, share: float | None, count: int | None) -> int:
    if (share is None) == (count is None):
        raise RecipeError("Give either a share or a count to poison.", code="poison_amount_invalid")
    number = count if count is not None else int((share or 0.0) * total)
    if number < 1:
        smallest = f"The smallest rate is {math.ceil(1e4 / total) / 1e4:g}." if share and total else ""
        raise RecipeError("No image would be poisoned.", code="poison_amount_invalid", hint=smallest)
    return number


def _drawn(candidates: Tensor, number: int, generator: torch.Generator) -> Tensor:
    order = torch.randperm(len(candidates), generator=generator)
    return candidates[order[:number].to(candidates.device)]


def _replaced(values: Tensor, where: Tensor, by: Tensor) -> Tensor:
    changed = values.clone()
    changed[where] = by
    return changed
