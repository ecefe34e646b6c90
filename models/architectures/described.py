"""Networks that a user describes by a list of layers, built of torch's own modules.

A module stands where its layer stands in the list, and is called so: ``layers.3.body.1``. Names of the user's
occur nowhere here, so none can meet an attribute of a module; the reader pairs them with these.

Activations write to new memory, because stages are read while later layers run (algorithms.md 8, items 26
and 42).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from models.architectures.staged import ChainedClassifier, no_margins, running_norm
from models.recipes.layer_list.resolve import path_of, resolve
from models.recipes.layer_list.shapes import Shape, pair
from models.recipes.layer_list.stages import is_rectified, margin_place
from models.recipes.layer_list.vocabulary import (
    ELU,
    GELU,
    Activation,
    AdaptivePool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    Flatten,
    GroupNorm,
    Layer,
    LayerList,
    LayerNorm,
    LeakyReLU,
    Linear,
    Pool,
    Residual,
    Scale,
    StageEnd,
)


class Sum(nn.Module):
    """A residual block: body plus shortcut."""

    def __init__(self, body: nn.Sequential, shortcut: nn.Sequential) -> None:
        """Make the block; an empty shortcut is the input itself."""
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, ...) to what both sides give, summed."""
        return cast(Tensor, self.body(x) + self.shortcut(x))


class Join(nn.Module):
    """Branches joined on channels."""

    def __init__(self, branches: Sequence[nn.Sequential]) -> None:
        """Make the block; an empty branch is the input itself."""
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, ...) to (N, sum of the branches' channels, ...)."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Gate(nn.Module):
    """The input times what its gate makes of it."""

    def __init__(self, gate: nn.Sequential) -> None:
        """Make the block."""
        super().__init__()
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H, W); a gate of (N, C) stands for every place of the map."""
        factor = self.gate(x)
        return cast(Tensor, x * factor.reshape(*factor.shape, *[1] * (x.dim() - factor.dim())))


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels at each place of a map."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H, W)."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class DescribedNetwork(ChainedClassifier):
    """What a layer list describes."""

    def __init__(self, described: LayerList) -> None:
        """Build the network with torch's own initialization.

        Args:
            described: Its numbers within the bounds of their fields.

        Raises:
            CheckpointRejected: If the layers do not fit together; see ``resolve``.
        """
        super().__init__()
        resolved = resolve(described)
        self.described = described
        self.cut = resolved.cut
        self.stage_channels = tuple(shape[0] for shape in resolved.cut.shapes)
        self.layers = _row(described.layers, "layers", resolved.takes)

    def stem(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) through the first convolution, if that is not all of stage 0."""
        return cast(Tensor, self.layers[: self.cut.stem](x))

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run on to the end of stage ``index``; returns the map there."""
        return cast(Tensor, self._layers_of(index)(x))

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map the last stage's output to logits (N, K) and the classifier's input, (N, D).

        A map that a 1x1 convolution classifies, with a pooling behind it, is averaged; others are flattened.
        """
        place = self.cut.classifier
        given = self.layers[self.cut.ends[-1] : place](x)
        classifier = self.layers[place]
        pointwise = isinstance(classifier, nn.Conv2d) and classifier.kernel_size == (1, 1)
        pooled = given.mean(dim=(2, 3)) if pointwise else given.flatten(1)
        return self.layers[place:](given), pooled

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        """Return the BatchNorm at the end of the stage, or right behind it.

        Raises:
            RecipeError: ``stages_incompatible`` if no stage is marked, or the mark is not beside a BatchNorm.
        """
        return self._margin(index)[0]

    def prerelu(self, index: int, stage_output: Tensor) -> Tensor:
        """Apply the BatchNorm behind the stage, if there is where the margins come from."""
        norm, behind = self._margin(index)
        return running_norm(norm, stage_output) if behind else stage_output

    def is_rectified(self, index: int) -> bool:
        """Whether the list names a ReLU next, behind the BatchNorm if that comes behind the stage."""
        return is_rectified(self.described.layers, self.cut.ends[index])

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        """List the convolutions of the stage, those in blocks included."""
        return [module for module in self._layers_of(index).modules() if isinstance(module, nn.Conv2d)]

    def _layers_of(self, index: int) -> nn.Sequential:
        start = self.cut.ends[index - 1] if index else self.cut.stem
        return self.layers[start : self.cut.ends[index]]

    def _margin(self, index: int) -> tuple[nn.BatchNorm2d, bool]:
        if not self.cut.marked:
            raise no_margins("the layer list marks no stage")
        end = self.cut.ends[index]
        found = margin_place(self.described.layers, end)
        if found is None:
            raise no_margins(f"{path_of(f'layers.{end - 1}')} has none right before or behind it")
        place, behind = found
        return cast(nn.BatchNorm2d, self.get_submodule(place)), behind


def _row(layers: Sequence[Layer], place: str, takes: Mapping[str, Shape]) -> nn.Sequential:
    return nn.Sequential(*(_make(layer, f"{place}.{index}", takes) for index, layer in enumerate(layers)))


def _make(layer: Layer, place: str, takes: Mapping[str, Shape]) -> nn.Module:
    if isinstance(layer, Residual):
        return Sum(_row(layer.body, f"{place}.body", takes), _row(layer.shortcut, f"{place}.shortcut", takes))
    if isinstance(layer, Concat):
        branches = enumerate(layer.branches)
        return Join([_row(branch, f"{place}.branches.{index}", takes) for index, branch in branches])
    if isinstance(layer, Scale):
        return Gate(_row(layer.gate, f"{place}.gate", takes))
    return _MAKERS[type(layer)](layer, takes[place])


def _convolution(layer: Conv, shape: Shape) -> nn.Module:
    padding = layer.padding if layer.padding == "same" else pair(layer.padding)
    numbers = (pair(layer.kernel), pair(layer.stride), padding, pair(layer.dilation), layer.groups)
    return nn.Conv2d(shape[0], layer.out, *numbers, bias=layer.bias)


def _batch_norm(layer: BatchNorm, shape: Shape) -> nn.Module:
    return (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(shape[0], eps=layer.eps)


def _layer_norm(layer: LayerNorm, shape: Shape) -> nn.Module:
    return (ChannelNorm if len(shape) == 3 else nn.LayerNorm)(shape[0], eps=layer.eps)


def _pool(layer: Pool, shape: Shape) -> nn.Module:
    del shape
    pool = nn.MaxPool2d if layer.type == "max_pool" else nn.AvgPool2d
    return pool(layer.kernel, layer.stride, layer.padding, ceil_mode=layer.ceil_mode)


def _adaptive_pool(layer: AdaptivePool, shape: Shape) -> nn.Module:
    del shape
    return (nn.AdaptiveMaxPool2d if layer.type == "adaptive_max_pool" else nn.AdaptiveAvgPool2d)(layer.size)


_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
_MAKERS: dict[type, Callable[[Any, Shape], nn.Module]] = {
    Conv: _convolution,
    Linear: lambda layer, shape: nn.Linear(shape[0], layer.out, bias=layer.bias),
    BatchNorm: _batch_norm,
    GroupNorm: lambda layer, shape: nn.GroupNorm(layer.groups, shape[0], eps=layer.eps),
    LayerNorm: _layer_norm,
    Activation: lambda layer, _: _ACTIVATIONS[layer.type](),
    LeakyReLU: lambda layer, _: nn.LeakyReLU(layer.slope),
    ELU: lambda layer, _: nn.ELU(layer.alpha),
    GELU: lambda layer, _: nn.GELU(layer.approximate),
    Pool: _pool,
    AdaptivePool: _adaptive_pool,
    Flatten: lambda *_: nn.Flatten(),
    # Its rate is not in the list: .5 would be a stranger's in whatever trains the network on (a protection).
    Dropout: lambda *_: nn.Identity(),
    StageEnd: lambda *_: nn.Identity(),
}
