"""From a layer list to shapes, tensors and cost, or to the sentence that says what does not fit.

Runs where the description is received, on integers alone, so that whatever reads the untrusted file gets a
table of names and shapes and no description. The numbers of single layers are within the vocabulary's bounds
by now; the bounds of the whole are checked here, layer by layer, before anything is built.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from models.recipes.layer_list.limits import (
    MAX_ACTIVATION,
    MAX_ACTIVATIONS,
    MAX_LAYERS,
    MAX_NESTING,
    MAX_OPERATIONS,
    MAX_PARAMETERS,
)
from models.recipes.layer_list.refusals import refused
from models.recipes.layer_list.shapes import Outcome, Shape, UnfitError, apply, joined, scaled, total, written
from models.recipes.layer_list.stages import Cut, cut
from models.recipes.layer_list.vocabulary import (
    ACTIVATIONS,
    Concat,
    Layer,
    LayerList,
    Residual,
    Scale,
    StageEnd,
)

#: As names of tensors are accepted, but no dot at either end and no two in a row.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_\-]*(\.[A-Za-z0-9_\-]+)*")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the state dict."""

    source: str
    """The file's name of it."""
    shape: Shape


@dataclass(frozen=True, slots=True)
class ResolvedNetwork:
    """All that follows from a layer list."""

    takes: dict[str, Shape]
    """Shape that each layer gets, by its place: ``layers.3.body.1``."""
    tensors: dict[str, Tensor]
    """By canonical name, which is the layer's place and the tensor's last part, in order of the list."""
    counts: dict[str, int]
    """Number of layers of each type."""
    num_classes: int
    macs: int
    """Multiply-accumulates of convolutions and linear layers for one image."""
    cut: Cut
    """Stem, stages and head."""

    @property
    def parameters(self) -> int:
        """Number of learned values."""
        learned = ("weight", "bias")
        return sum(math.prod(one.shape) for name, one in self.tensors.items() if name.endswith(learned))


@lru_cache(maxsize=8)
def resolve(described: LayerList) -> ResolvedNetwork:
    """Follow an image through the layers.

    Args:
        described: Every number within the bounds of its field.

    Raises:
        CheckpointRejected: With one of ``refusals.LAYER_LIST_CODES``, naming the layer by its path.
    """
    walk = _Walk()
    shape: Shape = (3, described.input_size, described.input_size)
    rows: list[Shape] = []
    for index, layer in enumerate(described.layers):
        shape = walk.enter(layer, f"layers.{index}", shape, 0)
        rows.append(shape)
    last = described.layers[-1]
    if len(shape) != 1 or not 2 <= shape[0] <= 1000:
        raise refused(
            "layers_shape_mismatch",
            f"The last layer gives {written(shape)}; between 2 and 1000 logits, one per class, are needed.",
        )
    if isinstance(last, ACTIVATIONS):
        raise refused(
            "layers_invalid", f"The last layer is a {last.type}; the list ends with the logits before it."
        )
    if "conv" not in walk.counts:
        raise refused(
            "layers_invalid", "The list has no convolution; networks of linear layers are not read."
        )
    divided = cut(described.layers, rows)
    return ResolvedNetwork(walk.takes, walk.tensors, walk.counts, shape[0], walk.macs, divided)


class _Walk:
    """What has been met so far."""

    def __init__(self) -> None:
        self.takes: dict[str, Shape] = {}
        self.tensors: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.macs = 0
        self._names: dict[str, str] = {}
        self._parameters = self._operations = self._activations = 0

    def enter(self, layer: Layer, place: str, shape: Shape, nesting: int) -> Shape:
        """Put one layer behind what came before; returns what it gives."""
        self.takes[place] = shape
        if len(self.takes) > MAX_LAYERS:
            raise _too_much(place, f"is one more than the {MAX_LAYERS:,} layers", "a list may have")
        self.counts[layer.type] = self.counts.get(layer.type, 0) + 1
        try:
            if isinstance(layer, Residual | Concat | Scale):
                outcome = Outcome(self._block(layer, place, shape, nesting + 1))
            elif isinstance(layer, StageEnd) and nesting:
                raise UnfitError("marks the end of a stage, which only the top of the list can do")
            else:
                outcome = apply(layer, shape)
        except UnfitError as unfit:
            raise refused("layers_shape_mismatch", f"{path_of(place)} {unfit}.") from None
        if outcome.tensors:
            self._name(str(getattr(layer, "name", "")), place, outcome)
        self._count(place, outcome)
        return outcome.shape

    def _block(self, block: Residual | Concat | Scale, place: str, shape: Shape, nesting: int) -> Shape:
        if nesting > MAX_NESTING:
            raise _too_much(place, f"lies deeper than the {MAX_NESTING} blocks", "that may lie in each other")
        if isinstance(block, Residual):
            body = self._row(block.body, f"{place}.body", shape, nesting)
            return total([body, self._row(block.shortcut, f"{place}.shortcut", shape, nesting)])
        if isinstance(block, Scale):
            return scaled(shape, self._row(block.gate, f"{place}.gate", shape, nesting))
        branches = enumerate(block.branches)
        return joined(
            [self._row(branch, f"{place}.branches.{index}", shape, nesting) for index, branch in branches]
        )

    def _row(self, layers: Sequence[Layer], place: str, shape: Shape, nesting: int) -> Shape:
        for index, layer in enumerate(layers):
            shape = self.enter(layer, f"{place}.{index}", shape, nesting)
        return shape

    def _name(self, name: str, place: str, outcome: Outcome) -> None:
        if not _NAME.fullmatch(name):
            raise refused(
                "layers_name_invalid",
                f"{path_of(place)} has a name that no tensor can have: {ascii(name)[:80]}.",
            )
        first = self._names.setdefault(name, place)
        if first != place:
            raise refused(
                "layers_name_repeated", f"{path_of(first)} and {path_of(place)} are both named {name}."
            )
        for part, shape in outcome.tensors.items():
            self.tensors[f"{place}.{part}"] = Tensor(f"{name}.{part}", shape)

    def _count(self, place: str, outcome: Outcome) -> None:
        values = math.prod(outcome.shape)
        self.macs += outcome.macs
        self._parameters += sum(map(math.prod, outcome.tensors.values()))
        self._operations += outcome.macs + outcome.looks
        self._activations += values
        for number, limit, what in (
            (values, MAX_ACTIVATION, "values that one layer may give for an image"),
            (self._parameters, MAX_PARAMETERS, "parameters"),
            (self._operations, MAX_OPERATIONS, "operations for an image"),
            (self._activations, MAX_ACTIVATIONS, "values that all layers may give for an image"),
        ):
            if number > limit:
                raise _too_much(place, f"makes it {number:,}, more than the {limit:,}", what)


def path_of(place: str) -> str:
    """Write a place as a path: ``layers.3.body.1`` is ``layers[3].body[1]``."""
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", place)


def _too_much(place: str, what: str, bound: str) -> Exception:
    return refused("layers_limit_exceeded", f"{path_of(place)} {what} {bound}.")
