"""Which networks there are, as facts: no torch, so that the service can list them and check names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec

_WIDE_RESNET = re.compile(r"wrn-([1-9][0-9]{1,2})-([1-9][0-9]?)")
_RESNET_DEPTHS = (20, 32, 44, 56, 110)
_VGG = "vgg-small-elu"


@dataclass(frozen=True)
class ArchitectureFamily:
    """Networks that share one module and one way of naming."""

    name: str
    pattern: str
    """How its networks are named, for people."""
    examples: tuple[str, ...]
    description: str
    input_sizes: str
    """Which sides of the square input it takes, in words."""


FAMILIES: tuple[ArchitectureFamily, ...] = (
    ArchitectureFamily(
        name="wide-resnet",
        pattern="wrn-D-K with D = 6n + 4 from 10 to 112 and K from 1 to 16",
        examples=("wrn-10-1", "wrn-10-2", "wrn-16-1", "wrn-16-2", "wrn-28-4", "wrn-40-2"),
        description="Pre-activation wide residual network in the layout of the ABD and ZSKT checkpoints.",
        input_sizes="any",
    ),
    ArchitectureFamily(
        name="resnet-cifar",
        pattern="resnet-D with D one of 20, 32, 44, 56, 110",
        examples=tuple(f"resnet-{depth}" for depth in _RESNET_DEPTHS),
        description="Residual network for CIFAR with parameter-free shortcuts, in akamaster's layout.",
        input_sizes="any",
    ),
    ArchitectureFamily(
        name="vgg-small-elu",
        pattern=_VGG,
        examples=(_VGG,),
        description="Six convolutions with BatchNorm, ELU and dropout, in the layout of I-BAU's small_VGG16.",
        input_sizes="multiples of 8",
    ),
)


def known_architectures() -> tuple[ArchitectureFamily, ...]:
    """Return all families."""
    return FAMILIES


def validate_name(name: str) -> ArchitectureFamily:
    """Return the family that a name belongs to.

    Raises:
        RecipeError: If no network has that name (code ``architecture_unknown``).
    """
    wide = wide_resnet_numbers(name)
    if wide is not None:
        return FAMILIES[0]
    if name in FAMILIES[1].examples:
        return FAMILIES[1]
    if name == _VGG:
        return FAMILIES[2]
    raise RecipeError(
        f"There is no architecture named {name!r}.",
        code="architecture_unknown",
        hint=f"Known names: {'; '.join(family.pattern for family in FAMILIES)}.",
    )


def wide_resnet_numbers(name: str) -> tuple[int, int] | None:
    """Return depth and width factor of ``wrn-D-K``, or None for any other name."""
    match = _WIDE_RESNET.fullmatch(name)
    if match is None:
        return None
    depth, widen = int(match[1]), int(match[2])
    valid = 10 <= depth <= 112 and (depth - 4) % 6 == 0 and widen <= 16
    return (depth, widen) if valid else None


def smaller(spec: ArchitectureSpec) -> str:
    """Name the default student of a teacher: always fewer parameters.

    Half the width and at most 16 layers of a wide ResNet; the shallowest of the CIFAR ResNets; ``wrn-16-1``
    (175,000 parameters) below ``resnet-20`` and ``vgg-small-elu`` (270,000 and 308,000).

    Raises:
        RecipeError: If the teacher is the smallest network there is (code ``student_not_smaller``) or
            unknown (code ``architecture_unknown``).
    """
    validate_name(spec.name)
    wide = wide_resnet_numbers(spec.name)
    if wide is None:
        return "wrn-16-1" if spec.name in ("resnet-20", _VGG) else "resnet-20"
    depth, widen = wide
    if widen > 1:
        return f"wrn-{min(depth, 16)}-{widen // 2}"
    if depth > 10:
        return f"wrn-{16 if depth > 16 else 10}-1"
    raise RecipeError(
        f"There is no network smaller than {spec.name}.",
        code="student_not_smaller",
        hint="Name the student's architecture in the recipe.",
    )
