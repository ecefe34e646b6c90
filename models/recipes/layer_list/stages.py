"""Where a described network is cut into stem, stages and head.

Marks of the user (``stage``) end the stages. Without any, a stage ends where the map's size is about to
change and a convolution came before: good enough for methods that shuffle the last stage or look at it, but
not for comparing features, which needs maps before their activation.

The first convolution is the stem, whose input channels are colors, unless stage 0 has no other. A convolution
that gives the logits, with nothing but pooling behind it as in SqueezeNet, is the head's and ends no stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.recipes.layer_list.refusals import refused
from models.recipes.layer_list.shapes import Shape
from models.recipes.layer_list.vocabulary import (
    ACTIVATIONS,
    Activation,
    AdaptivePool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    Flatten,
    Layer,
    Pool,
    Residual,
    Scale,
    StageEnd,
)

#: Nothing passes below zero.
_RECTIFIERS = ("relu", "relu6")
_WITHOUT_WEIGHTS = (Pool, AdaptivePool, Flatten, Dropout, StageEnd, *ACTIVATIONS)


@dataclass(frozen=True, slots=True)
class Cut:
    """Positions in the list of the top."""

    stem: int
    """Where stage 0 begins."""
    ends: tuple[int, ...]
    """Where each stage ends: the first position behind it."""
    shapes: tuple[Shape, ...]
    """What each stage gives, (channels, height, width)."""
    marked: bool
    """Whether the user said so."""
    classifier: int
    """Where the layer stands that gives the logits; behind it there is at most what has no weights."""


def cut(layers: Sequence[Layer], gives: Sequence[Shape]) -> Cut:
    """Divide the list.

    Args:
        layers: Of the top; one of them has a convolution.
        gives: Shape behind each.

    Raises:
        CheckpointRejected: ``layers_invalid`` if a stage is marked that has no convolution.
    """
    marks = [index + 1 for index, layer in enumerate(layers) if isinstance(layer, StageEnd)]
    convolutions = [index for index, layer in enumerate(layers) if has_convolution(layer)]
    first = convolutions[0]
    classifier = _classifier_place(layers)
    body = classifier if isinstance(layers[classifier], Conv) else len(layers)
    inner = [index for index in convolutions[1:] if index < body]
    ends = marks or _changes(inner, gives[:body]) or [first + 1]
    for start, end in zip([0, *ends], ends, strict=False):
        if not any(start <= index < end for index in convolutions):
            raise refused(
                "layers_invalid",
                f"layers[{end - 1}] ends a stage that has no convolution: each stage needs one.",
            )
    alone = sum(index < ends[0] for index in convolutions) == 1
    shapes = tuple(gives[end - 1] for end in ends)
    # Where it is a stage's, by the user's mark or as the only convolution, the last layer stands in for it.
    place = classifier if classifier >= ends[-1] else len(layers) - 1
    return Cut(0 if alone else first + 1, tuple(ends), shapes, bool(marks), place)


def _classifier_place(layers: Sequence[Layer]) -> int:
    return max(index for index, layer in enumerate(layers) if not isinstance(layer, _WITHOUT_WEIGHTS))


def _changes(convolutions: Sequence[int], gives: Sequence[Shape]) -> list[int]:
    """List where the size is about to change, and the end of the last convolution's size."""
    ends: list[int] = []
    start = 0
    for index, shape in enumerate(gives):
        following = gives[index + 1] if index + 1 < len(gives) else ()
        if (
            len(shape) == 3
            and following[1:] != shape[1:]
            and any(start <= one <= index for one in convolutions)
        ):
            ends.append(index + 1)
            start = index + 1
    return ends


def has_convolution(layer: Layer) -> bool:
    """Say whether a layer is a convolution or has one inside."""
    if isinstance(layer, Residual):
        return any(map(has_convolution, (*layer.body, *layer.shortcut)))
    if isinstance(layer, Scale):
        return any(map(has_convolution, layer.gate))
    if isinstance(layer, Concat):
        return any(has_convolution(inner) for branch in layer.branches for inner in branch)
    return isinstance(layer, Conv)


def margin_place(layers: Sequence[Layer], end: int) -> tuple[str, bool] | None:
    """Find the BatchNorm whose scale and shift describe a stage before the next activation.

    It ends the stage, or the body of the residual block that does, or else comes right behind.

    Args:
        layers: Of the top.
        end: From ``Cut.ends``, of a marked stage.

    Returns:
        The BatchNorm's place, such as ``layers.3.body.4``, and whether it comes behind the stage; None if
        there is none.
    """
    before, after = end - 2, end
    while before >= 0 and isinstance(layers[before], Dropout):
        before -= 1
    while after < len(layers) and isinstance(layers[after], Dropout):
        after += 1
    if before >= 0 and isinstance(layers[before], BatchNorm):
        return f"layers.{before}", False
    place = f"layers.{after}"
    behind = layers[after] if after < len(layers) else None
    while isinstance(behind, Residual):
        place, behind = f"{place}.body.0", behind.body[0]
    if isinstance(behind, BatchNorm):
        return place, True
    last = layers[before] if before >= 0 else None
    if isinstance(last, Residual) and isinstance(last.body[-1], BatchNorm):
        return f"layers.{before}.body.{len(last.body) - 1}", False
    return None


def is_rectified(layers: Sequence[Layer], end: int) -> bool:
    """Tell whether a ReLU comes next behind a stage, but for dropout and one BatchNorm.

    Args:
        layers: Of the top.
        end: From ``Cut.ends``, of a marked stage.
    """
    row, normalized = list(layers[end:]), False
    while row:
        layer, *row = row
        if isinstance(layer, Residual):
            row = list(layer.body)
        elif isinstance(layer, BatchNorm) and not normalized:
            normalized = True
        elif not isinstance(layer, Dropout):
            return isinstance(layer, Activation) and layer.type in _RECTIFIERS
    return False
