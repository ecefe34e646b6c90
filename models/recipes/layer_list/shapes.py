"""What each kind of layer makes of a shape, and which tensors it has. Integers only; no torch, no NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from models.recipes.layer_list.vocabulary import (
    ACTIVATIONS,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GroupNorm,
    LayerNorm,
    Linear,
    Pool,
    StageEnd,
)

#: Of one image: (channels, height, width) of a map, (features,) after a flatten.
Shape = tuple[int, ...]


class UnfitError(Exception):
    """A layer cannot take the shape; the message is the end of a sentence that begins with its path."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a layer gives."""

    shape: Shape
    tensors: dict[str, Shape] = field(default_factory=dict)
    """By the last part of the name, in torch's order."""
    macs: int = 0
    """Multiply-accumulates of convolutions and linear layers."""
    looks: int = 0
    """Values that a pooling looks at."""


def written(shape: Shape) -> str:
    """Write a shape for people: ``64 x 8 x 8`` or ``1024 features``."""
    return " x ".join(map(str, shape)) if len(shape) == 3 else f"{shape[0]} features"


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Return height and width of a number that stands for both."""
    return value if isinstance(value, tuple) else (value, value)


def _map(shape: Shape, what: str) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise UnfitError(f"is {what}, which takes a map, and gets {written(shape)}")
    return shape[0], shape[1], shape[2]


def _convolution(layer: Conv, shape: Shape) -> Outcome:
    channels, *sides = _map(shape, "a convolution")
    kernel, stride, dilation = pair(layer.kernel), pair(layer.stride), pair(layer.dilation)
    if channels % layer.groups or layer.out % layer.groups:
        raise UnfitError(
            f"has {layer.groups} groups, which do not divide {channels} and {layer.out} channels"
        )
    if layer.padding == "same":
        if stride != (1, 1):
            raise UnfitError("has padding same, which needs stride 1: write the number of pixels")
        out = tuple(sides)
    else:
        reach = [spread * (side - 1) + 1 for side, spread in zip(kernel, dilation, strict=True)]
        out = _windows(sides, reach, stride, pair(layer.padding))
    weight = (layer.out, channels // layer.groups, *kernel)
    tensors: dict[str, Shape] = {"weight": weight} | ({"bias": (layer.out,)} if layer.bias else {})
    return Outcome((layer.out, *out), tensors, math.prod(out) * math.prod(weight))


def _windows(
    sides: list[int], reach: list[int], stride: tuple[int, int], padding: tuple[int, int], *, up: bool = False
) -> tuple[int, ...]:
    """Count the places of a window along height and width, rounding down, or ``up`` as torch does it."""
    counts = []
    for side, length, step, pad in zip(sides, reach, stride, padding, strict=True):
        room = side + 2 * pad - length
        if room < 0:
            size, all_of_it = " x ".join(map(str, reach)), " x ".join(map(str, sides))
            raise UnfitError(f"has a window of {size}, which does not fit into a padded {all_of_it}")
        count = (-(-room // step) if up else room // step) + 1
        counts.append(count - 1 if up and (count - 1) * step >= side + pad else count)
    return tuple(counts)


def _linear(layer: Linear, shape: Shape) -> Outcome:
    if len(shape) != 1:
        raise UnfitError(
            f"is linear, which takes features, and gets a map of {written(shape)}: put a flatten before it"
        )
    tensors: dict[str, Shape] = {"weight": (layer.out, *shape)} | (
        {"bias": (layer.out,)} if layer.bias else {}
    )
    return Outcome((layer.out,), tensors, layer.out * shape[0])


def _batch_norm(layer: BatchNorm, shape: Shape) -> Outcome:
    del layer
    parts = ("weight", "bias", "running_mean", "running_var")
    return Outcome(shape, dict.fromkeys(parts, shape[:1]) | {"num_batches_tracked": ()})


def _group_norm(layer: GroupNorm, shape: Shape) -> Outcome:
    if shape[0] % layer.groups:
        raise UnfitError(f"has {layer.groups} groups, which do not divide {shape[0]} channels")
    return Outcome(shape, {"weight": shape[:1], "bias": shape[:1]})


def _layer_norm(layer: LayerNorm, shape: Shape) -> Outcome:
    del layer
    return Outcome(shape, {"weight": shape[:1], "bias": shape[:1]})


def _pool(layer: Pool, shape: Shape) -> Outcome:
    channels, *sides = _map(shape, "a pooling")
    kernel, padding = pair(layer.kernel), pair(layer.padding)
    if any(2 * pad > side for pad, side in zip(padding, kernel, strict=True)):
        raise UnfitError(f"is padded by {padding}, more than half of its kernel")
    stride = kernel if layer.stride is None else pair(layer.stride)
    out = _windows(sides, list(kernel), stride, padding, up=layer.ceil_mode)
    return Outcome((channels, *out), looks=channels * math.prod(out) * math.prod(kernel))


def _adaptive_pool(layer: AdaptivePool, shape: Shape) -> Outcome:
    channels, *sides = _map(shape, "a pooling")
    out = pair(layer.size)
    reach = math.prod(side // count + 2 for side, count in zip(sides, out, strict=True))
    return Outcome((channels, *out), looks=channels * math.prod(out) * reach)


def _flatten(layer: Flatten, shape: Shape) -> Outcome:
    del layer
    return Outcome((math.prod(shape),))


def _unchanged(layer: object, shape: Shape) -> Outcome:
    del layer
    return Outcome(shape)


def _stage(layer: StageEnd, shape: Shape) -> Outcome:
    del layer
    return Outcome(_map(shape, "the end of a stage"))


_RULES: dict[type, Callable[[Any, Shape], Outcome]] = {
    Conv: _convolution,
    Linear: _linear,
    BatchNorm: _batch_norm,
    GroupNorm: _group_norm,
    LayerNorm: _layer_norm,
    Pool: _pool,
    AdaptivePool: _adaptive_pool,
    Flatten: _flatten,
    Dropout: _unchanged,
    StageEnd: _stage,
    **dict.fromkeys(ACTIVATIONS, _unchanged),
}


def apply(layer: object, shape: Shape) -> Outcome:
    """Return what a layer that is no block makes of ``shape``.

    Raises:
        UnfitError: It cannot take it.
    """
    return _RULES[type(layer)](layer, shape)


def total(shapes: list[Shape]) -> Shape:
    """Return the shape of a sum.

    Raises:
        UnfitError: The shapes differ.
    """
    if len(set(shapes)) != 1:
        raise UnfitError(f"adds {' and '.join(map(written, shapes))}, which differ")
    return shapes[0]


def joined(shapes: list[Shape]) -> Shape:
    """Return the shape of branches joined on channels, or of features in a row.

    Raises:
        UnfitError: Their sizes differ.
    """
    if len({shape[1:] for shape in shapes}) != 1:
        raise UnfitError(f"joins branches of {', '.join(map(written, shapes))}, whose sizes differ")
    return (sum(shape[0] for shape in shapes), *shapes[0][1:])


def scaled(shape: Shape, gate: Shape) -> Shape:
    """Return the shape of a product with a gate, which is the input's.

    Raises:
        UnfitError: The gate gives neither one number per channel nor a map of the input's size.
    """
    if gate not in {shape, shape[:1], (*shape[:1], 1, 1)}:
        raise UnfitError(f"scales {written(shape)}, and its gate gives {written(gate)}")
    return shape
