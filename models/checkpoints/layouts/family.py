"""What inference needs to know of an architecture family."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from models.checkpoints.layouts.layout import Layout, Shape
from models.recipes.architecture import ArchitectureSpec

USUAL_SIZE = 32


@dataclass(frozen=True, slots=True)
class Reading:
    """What a family reads from names and shapes. The strict comparison decides whether it is right."""

    name: str
    """Registry name."""
    num_classes: int
    input_size: int | None
    """None when the shapes do not tell, because the network pools globally."""
    renamed: Mapping[str, str]
    """Canonical name by the file's name, where they differ."""
    usual_size: int = USUAL_SIZE
    """What to assume when neither shapes nor user tell the input size."""
    usual_because: str = ""
    """Who says so, as the end of a sentence."""


class Family(Protocol):
    """One architecture family."""

    title: str
    """How to call it in a sentence."""

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Read from a checkpoint the members of the family that it may be; none if it does not look so."""

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table of ``spec``, or None if the family has no such member."""


def block_count(shapes: Mapping[str, Shape], pattern: str) -> int:
    """Count consecutive blocks: ``pattern`` with ``{}`` for 0, 1, 2, ... as long as the name exists."""
    count = 0
    while pattern.format(count) in shapes:
        count += 1
    return count


def rename(
    shapes: Mapping[str, Shape], rules: Iterable[tuple[str, str | Callable[[re.Match[str]], str]]]
) -> dict[str, str]:
    """Translate another layout's names; returns the canonical name of every name that changes.

    No two names of the file become one, and none becomes a name that the file has already.

    Args:
        shapes: By the file's names.
        rules: Patterns for whole names and what to write instead; the first that matches counts.
    """
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]
    renamed: dict[str, str] = {}
    taken = set(shapes)
    for name in shapes:
        match = next(((found, new) for rule, new in compiled if (found := rule.fullmatch(name))), None)
        if match is None:
            continue
        found, new = match
        canonical = found.expand(new) if isinstance(new, str) else new(found)
        if canonical not in taken:
            renamed[name] = canonical
            taken.add(canonical)
    return renamed


def rename_head(shapes: Mapping[str, Shape], canonical: str, aliases: tuple[str, ...]) -> dict[str, str]:
    """Map a classifier that the file calls otherwise to its canonical name; empty when nothing differs."""
    if f"{canonical}.weight" in shapes:
        return {}
    alias = next((name for name in aliases if f"{name}.weight" in shapes), None)
    if alias is None:
        return {}
    return {
        f"{alias}.{part}": f"{canonical}.{part}" for part in ("weight", "bias") if f"{alias}.{part}" in shapes
    }


def head_classes(shapes: Mapping[str, Shape], names: tuple[str, ...]) -> int:
    """Number of classes of the first classifier that exists; 0 if none does."""
    shape = next((shapes[f"{name}.weight"] for name in names if f"{name}.weight" in shapes), (0,))
    return shape[0] if len(shape) == 2 else 0
