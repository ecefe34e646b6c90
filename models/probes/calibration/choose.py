"""Which reference set fits a teacher, and why none does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial

from models.architectures import build
from models.architectures.cost import count_parameters
from models.architectures.empty_weights import build_empty
from models.errors import RecipeError
from models.probes.calibration.conformal import fewest_references
from models.probes.calibration.reference_set import Conditions, ReferenceSet
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import validate_name

_WORDS = {
    "architecture": "architecture",
    "num_classes": "number of classes",
    "input_size": "input size",
    "images": "images that the probes searched on",
    "searched": "number of images that classes were compared on",
    "patch_style": "patch style",
    "budget": "budget",
    "effort": "effort of the probes (they have changed since)",
    "scoring_version": "version of the probes (they have changed since)",
    "task": "task",
}


#: What differs when something else does: the sizes of every search follow from the budget, the number of
#: patches too, and that of clean images has no meaning for patches.
_FOLLOW = {"budget": ("effort", "searched"), "images": ("searched",)}


@dataclass(frozen=True)
class Choice:
    """The set that fits, or the reason why there is none."""

    found: ReferenceSet | None
    reason: str
    """Without a set: why. With one of relatives instead of the same architecture: that. Else empty."""


def choose_set(conditions: Conditions, sets: Sequence[ReferenceSet], task: str | None = None) -> Choice:
    """Choose the references for an audit.

    All conditions must be the same, and the task, if both the audit and the set name one: networks of other
    classes are no references. Of the architecture, the family may do, because a larger sibling is still
    nearer than nothing. Sets with enough references for a detection come before others, those of the same
    architecture before relatives, those of the same task before others, then relatives of a size nearer to
    the network's (by the ratio of their numbers of weights), then the larger set.

    Args:
        conditions: Of the audit.
        sets: At equal worth the first is taken.
        task: What the audited network's classes are, if that was said.
    """
    if not sets:
        return Choice(None, "There are no clean reference networks to compare with.")
    if conditions.images == "patches of given photographs":
        return Choice(
            None,
            "The clean reference networks were scored on patches of other photographs than those you gave.",
        )
    near = [found for found in sets if not _differences(conditions, found, task)]
    if not near:
        return Choice(None, _why_none(conditions, sets, task))
    best = max(near, key=lambda found: _worth(conditions, found, task))
    if best.conditions.architecture == conditions.architecture:
        return Choice(best, "")
    return Choice(
        best,
        f"The references are {best.conditions.architecture}, of the same family as this network "
        f"({conditions.architecture}), not the same architecture: the p-value is an approximation.",
    )


def _worth(
    conditions: Conditions, found: ReferenceSet, task: str | None
) -> tuple[bool, bool, bool, float, int]:
    count = len(found.references)
    same = found.conditions.architecture == conditions.architecture
    unlike = 0.0 if same else abs(math.log(_weights(conditions) / _weights(found.conditions)))
    return count >= fewest_references(), same, task is not None and found.task == task, -unlike, count


def _weights(conditions: Conditions) -> int:
    """Count the parameters of the architecture, which the catalog knows: it has relatives."""
    spec = ArchitectureSpec(conditions.architecture, conditions.num_classes, conditions.input_size)
    return count_parameters(build_empty(partial(build, spec)))


def _differences(wanted: Conditions, found: ReferenceSet, task: str | None) -> list[str]:
    """Name what keeps a set from fitting, and not what follows from it."""
    offered = found.conditions
    names = [field.name for field in fields(Conditions) if field.name != "architecture"]
    different = [name for name in names if getattr(wanted, name) != getattr(offered, name)]
    followed = {name for cause, names in _FOLLOW.items() if cause in different for name in names}
    different = [name for name in different if name not in followed]
    if task is not None and found.task not in {None, task}:
        different.append("task")
    related = _related(wanted.architecture, offered.architecture)
    return different if related else ["architecture", *different]


def _related(first: str, second: str) -> bool:
    """Whether two networks are of one family; a library of many architectures is none."""
    if first == second:
        return True
    try:
        family = validate_name(first)
    except RecipeError:  # described by its layers
        return False
    return family.students and family.has(second)


def _why_none(conditions: Conditions, sets: Sequence[ReferenceSet], task: str | None) -> str:
    """Say how the set that comes nearest differs."""
    differences = [_differences(conditions, found, task) for found in sets]
    nearest = min(range(len(sets)), key=lambda place: len(differences[place]))
    words = ", ".join(
        f"{_WORDS[name]}{_values(name, conditions, sets[nearest], task)}" for name in differences[nearest]
    )
    return (
        f"None of {len(sets)} sets of clean reference networks fits; the nearest, {sets[nearest].name}, "
        f"differs in: {words}."
    )


def _values(name: str, conditions: Conditions, offered: ReferenceSet, task: str | None) -> str:
    if name in {"effort", "scoring_version"}:
        return ""
    if name == "task":
        return f" ({offered.task} there, {task} here)"
    return f" ({getattr(offered.conditions, name)} there, {getattr(conditions, name)} here)"
