"""Which network: its name, the number of classes and the input's side."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Interval, Len

from models.recipes.base import recipe
from models.recipes.layer_list.vocabulary import LayerList

MAX_INPUT_SIZE = 512


@recipe
class ArchitectureSpec:
    """A network that ``models.architectures.build`` can make."""

    name: Annotated[str, Len(1, 64)]
    """Registry name, such as ``wrn-16-2``, ``resnet-20`` or ``vgg-small-elu``; for one that the user
    describes, ``layers-`` and a part of the description's hash."""
    num_classes: Annotated[int, Interval(ge=2, le=1000)]
    """Number of logits."""
    input_size: Annotated[int, Interval(ge=8, le=MAX_INPUT_SIZE)] = 32
    """Side of the square input in pixels; inputs have three channels."""
    layers: LayerList | None = None
    """What describes a network that is not of the registry; the other fields follow from it."""


@recipe
class Normalization:
    """Channel statistics between pixels in [0, 1] and what the network sees: ``(x - mean) / std``."""

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Per-channel mean, in pixel units of [0, 1]."""
    std: tuple[Annotated[float, Ge(1e-3)], Annotated[float, Ge(1e-3)], Annotated[float, Ge(1e-3)]] = (
        1.0,
        1.0,
        1.0,
    )
    """Per-channel standard deviation, in pixel units of [0, 1]."""
