"""Which clean networks are made as references: what honest owners do, the hard cases among them.

A p-value says how rare a score is *among the references*, so they must vary as audited networks do. Eight of
fourteen differ in seed, length, rate and augmentation; the rest went through what moves a probe's score on
networks without a backdoor (probes.md 3.1): further training, pruning, adversarial training, soft or mixed
labels, a long tail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from models.recipes.lab import AfterRecipe, TeacherRecipe

Change = Callable[[TeacherRecipe], TeacherRecipe]


@dataclass(frozen=True)
class Variant:
    """One way of making a clean network."""

    kind: str
    """As the set calls it; ``plain`` for those that differ in ordinary choices alone."""
    recipe: TeacherRecipe


def variants(base: TeacherRecipe, count: int, first_seed: int = 0) -> Iterator[Variant]:
    """Yield recipes of clean networks, each with a seed of its own.

    Any run of them holds every kind in about the same shares, so sets of different seeds are drawn alike.

    Args:
        base: Architecture, size, length and rates of a plain network.
        count: How many.
        first_seed: Of the first; the next ones count on.
    """
    for place in range(count):
        kind, change = _CHANGES[place % len(_CHANGES)]
        yield Variant(kind, change(replace(base, seed=first_seed + place)))


def _longer(recipe: TeacherRecipe) -> TeacherRecipe:
    return replace(recipe, epochs=round(1.5 * recipe.epochs))


def _shorter(recipe: TeacherRecipe) -> TeacherRecipe:
    return replace(recipe, epochs=max(1, round(0.7 * recipe.epochs)))


def _slower(recipe: TeacherRecipe) -> TeacherRecipe:
    return replace(recipe, learning_rate=0.5 * recipe.learning_rate)


def _trained_on(recipe: TeacherRecipe) -> TeacherRecipe:
    return replace(recipe, after=AfterRecipe(epochs=max(1, recipe.epochs // 4)))


_CHANGES: tuple[tuple[str, Change], ...] = (
    ("plain", lambda recipe: recipe),
    ("label-smoothed", lambda recipe: replace(recipe, label_smoothing=0.1)),
    ("plain", _longer),
    ("fine-tuned", _trained_on),
    ("plain", lambda recipe: replace(recipe, crop_padding=0)),
    ("pruned", lambda recipe: replace(recipe, after=AfterRecipe(pruned=0.3))),
    ("plain", lambda recipe: recipe),
    ("adversarially-trained", lambda recipe: replace(recipe, adversarial=4)),
    ("plain", lambda recipe: replace(recipe, cutout=8)),
    ("long-tailed", lambda recipe: replace(recipe, long_tail=10.0)),
    ("plain", _slower),
    ("plain", lambda recipe: replace(recipe, weight_decay=0.2 * recipe.weight_decay)),
    ("mixed-up", lambda recipe: replace(recipe, mixup=0.4)),
    ("plain", _shorter),
)
