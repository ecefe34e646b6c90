"""The vocabulary of layer lists: how a user describes a network that no registry knows.

A description is data and never code: a list of layers, each with its type, its numbers and, where it has
weights, ``name``, the prefix of its tensors in the state dict. The vocabulary is closed. Channels coming in
are not written down: they follow from what comes before (``resolve``).

Bounds of single numbers are here, bounds of the whole in ``limits``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args, get_type_hints

from annotated_types import Interval, Len

from models.recipes.base import recipe


class ByType:
    """Tells Pydantic to choose a layer's class by its ``type``; means nothing to the library itself."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Turn the schema of a union into one tagged by ``type``, so that errors name one layer only."""
        choices = zip(get_args(source), handler(source)["choices"], strict=True)
        tagged = {tag: choice for member, choice in choices for tag in layer_types(member)}
        return {"type": "tagged-union", "discriminator": "type", "choices": tagged}


def layer_types(layer: type) -> tuple[str, ...]:
    """Return the values that ``type`` may have in one class of layers."""
    return get_args(get_type_hints(layer)["type"])


Name: TypeAlias = Annotated[str, Len(1, 200)]
Channels: TypeAlias = Annotated[int, Interval(ge=1, le=16_384)]
_Kernel = Annotated[int, Interval(ge=1, le=31)]
_Window = Annotated[int, Interval(ge=1, le=256)]
_Stride = Annotated[int, Interval(ge=1, le=32)]
_Padding = Annotated[int, Interval(ge=0, le=128)]
_Dilation = Annotated[int, Interval(ge=1, le=32)]
_Epsilon = Annotated[float, Interval(ge=1e-12, le=1.0)]


@recipe
class Conv:
    """A convolution; zeros pad it."""

    type: Literal["conv"]
    name: Name
    """Prefix of ``.weight`` and ``.bias`` in the state dict."""
    out: Channels
    """Channels that it gives."""
    kernel: _Kernel | tuple[_Kernel, _Kernel]
    """Side in pixels, or height and width."""
    stride: _Stride | tuple[_Stride, _Stride] = 1
    """Pixels from one place to the next."""
    padding: _Padding | tuple[_Padding, _Padding] | Literal["same"] = 0
    """Pixels on each side; ``same`` keeps the size at stride 1."""
    dilation: _Dilation | tuple[_Dilation, _Dilation] = 1
    """Pixels from one value of the kernel to the next."""
    groups: Channels = 1
    """Groups of channels; as many as there are channels coming in makes it depthwise."""
    bias: bool = True
    """Whether the state dict has a ``.bias``."""


@recipe
class Linear:
    """A linear layer; takes features, so a ``flatten`` stands somewhere before."""

    type: Literal["linear"]
    name: Name
    """Prefix of ``.weight`` and ``.bias`` in the state dict."""
    out: Channels
    """Features that it gives; the last one's are the classes."""
    bias: bool = True
    """Whether the state dict has a ``.bias``."""


@recipe
class BatchNorm:
    """BatchNorm with learned scale and shift, using its running statistics; of a map or of features."""

    type: Literal["batch_norm"]
    name: Name
    """Prefix of ``.weight``, ``.bias``, ``.running_mean`` and ``.running_var`` in the state dict."""
    eps: _Epsilon = 1e-5
    """What is added to the variance."""


@recipe
class GroupNorm:
    """GroupNorm with learned scale and shift."""

    type: Literal["group_norm"]
    name: Name
    """Prefix of ``.weight`` and ``.bias`` in the state dict."""
    groups: Channels
    """Groups of channels that are normalized together."""
    eps: _Epsilon = 1e-5
    """What is added to the variance."""


@recipe
class LayerNorm:
    """LayerNorm over features, or over the channels at each place of a map."""

    type: Literal["layer_norm"]
    name: Name
    """Prefix of ``.weight`` and ``.bias`` in the state dict."""
    eps: _Epsilon = 1e-5
    """What is added to the variance."""


@recipe
class Activation:
    """An activation without numbers."""

    type: Literal["relu", "relu6", "silu", "hardswish", "hardsigmoid", "tanh", "sigmoid"]


@recipe
class LeakyReLU:
    """max(x, slope x)."""

    type: Literal["leaky_relu"]
    slope: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.01
    """Factor below 0."""


@recipe
class ELU:
    """x above 0, alpha (exp(x) - 1) below."""

    type: Literal["elu"]
    alpha: Annotated[float, Interval(ge=0.0, le=10.0)] = 1.0
    """What it goes to, negated, far below 0."""


@recipe
class GELU:
    """x times the normal distribution's function of x, or an approximation of it."""

    type: Literal["gelu"]
    approximate: Literal["none", "tanh"] = "none"
    """By the hyperbolic tangent, or not at all."""


@recipe
class Pool:
    """Max or average pooling."""

    type: Literal["max_pool", "avg_pool"]
    kernel: _Window | tuple[_Window, _Window]
    """Side of the window in pixels, or height and width."""
    stride: _Stride | tuple[_Stride, _Stride] | None = None
    """As large as the kernel when absent."""
    padding: _Padding | tuple[_Padding, _Padding] = 0
    """Pixels on each side, at most half the kernel; an average counts them as zeros."""
    ceil_mode: bool = False
    """Whether a window may reach over the edge."""


@recipe
class AdaptivePool:
    """Pooling to a size, whatever comes in; size 1 pools globally."""

    type: Literal["adaptive_avg_pool", "adaptive_max_pool"]
    size: _Window | tuple[_Window, _Window] = 1
    """Side of what it gives, or height and width."""


@recipe
class Flatten:
    """A map's values in a row, channel by channel."""

    type: Literal["flatten"]


@recipe
class Dropout:
    """Nothing, since teachers are only evaluated; here so that a list can follow the code."""

    type: Literal["dropout"]


@recipe
class StageEnd:
    """A mark and no layer: the map at this place ends a stage.

    Feature distillation and RobustKD compare teacher and student there. Put it before an activation, at the
    top of the list only.
    """

    type: Literal["stage"]


@recipe
class Residual:
    """The sum of body and shortcut. An activation after the sum is the next layer of the list."""

    type: Literal["residual"]
    body: Annotated[tuple[Layer, ...], Len(1, 256)]
    """What the input goes through on the one side."""
    shortcut: Annotated[tuple[Layer, ...], Len(0, 256)] = ()
    """What the input goes through on the other side; nothing when empty."""


@recipe
class Concat:
    """Branches of one input, joined on channels; an empty branch is the input itself (DenseNet)."""

    type: Literal["concat"]
    branches: Annotated[tuple[Annotated[tuple[Layer, ...], Len(0, 256)], ...], Len(2, 64)]
    """What the input goes through on its several ways."""


@recipe
class Scale:
    """The input times what ``gate`` makes of it: squeeze-and-excitation.

    The gate gives one number per channel, as features or as a 1 x 1 map, or a map of the input's size.
    """

    type: Literal["scale"]
    gate: Annotated[tuple[Layer, ...], Len(1, 256)]
    """What makes the factors from the input."""


Layer: TypeAlias = Annotated[
    Conv
    | Linear
    | BatchNorm
    | GroupNorm
    | LayerNorm
    | Activation
    | LeakyReLU
    | ELU
    | GELU
    | Pool
    | AdaptivePool
    | Flatten
    | Dropout
    | StageEnd
    | Residual
    | Concat
    | Scale,
    ByType(),
]
ACTIVATIONS = (Activation, LeakyReLU, ELU, GELU)


@recipe
class LayerList:
    """A network of the user's own. It takes normalized images with three channels and gives logits."""

    layer_list: Annotated[int, Interval(ge=1, le=1)]
    """Version of this vocabulary: 1."""
    input_size: Annotated[int, Interval(ge=8, le=256)]
    """Side of the square input in pixels."""
    layers: Annotated[tuple[Layer, ...], Len(1, 1024)]
    """From the image to the logits."""
