"""The complete table of an architecture's parameters and buffers, built without the network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from models.recipes.architecture import ArchitectureSpec, Normalization

Shape = tuple[int, ...]

#: BatchNorm's step counter: absent from files made before torch 0.4.1, and without influence in evaluation.
COUNTER = "num_batches_tracked"
_BUFFERS = ("running_mean", "running_var", COUNTER)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a strict load of an architecture expects."""

    spec: ArchitectureSpec
    shapes: dict[str, Shape]
    """Parameters and buffers by canonical name, in registration order."""
    macs: int | None
    """Multiply-accumulate operations of convolutions and matrix products for one image; None if not known."""
    unlearned: frozenset[str] = frozenset()
    """Buffers beside BatchNorm's."""
    constants: Mapping[str, Shape] = field(default_factory=dict)
    """Integers that the network brings along: a file may have them, and they are not taken from it."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """``constants.integers_sha256`` of each constant: those of a file must be the network's own."""
    auxiliary: Mapping[str, Shape] = field(default_factory=dict)
    """What only serves training: a file may have it, and it is dropped. -1 is any length."""
    remarks: tuple[str, ...] = ()
    """What the user should know of such a network."""
    normalization: Normalization | None = None
    """What the library that publishes the network names for it."""

    @property
    def parameters(self) -> int:
        """Number of learned values."""
        return sum(math.prod(shape) for name, shape in self.shapes.items() if not self._is_buffer(name))

    @property
    def buffers(self) -> int:
        """Number of values that are not learned, such as BatchNorm's statistics and counters."""
        return sum(math.prod(shape) for name, shape in self.shapes.items() if self._is_buffer(name))

    def _is_buffer(self, name: str) -> bool:
        return is_buffer(name) or name in self.unlearned


def is_buffer(name: str) -> bool:
    """Whether a canonical name is a BatchNorm buffer."""
    return name.endswith(_BUFFERS)


class LayoutBuilder:
    """Collects layers in registration order and follows the image's size through strides and pools."""

    def __init__(self, input_size: int) -> None:
        """Start with a square image of ``input_size`` pixels a side."""
        self.size = input_size
        self._shapes: dict[str, Shape] = {}
        self._macs = 0

    def convolution(
        self,
        name: str,
        channels_in: int,
        channels_out: int,
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        """Add a square convolution whose padding keeps the size at stride 1, and step to its output size."""
        self.size = -(-self.size // stride)
        self._shapes[f"{name}.weight"] = (channels_out, channels_in // groups, kernel, kernel)
        if bias:
            self._shapes[f"{name}.bias"] = (channels_out,)
        self._macs += self.size**2 * channels_out * (channels_in // groups) * kernel**2

    def batch_norm(self, name: str, channels: int) -> None:
        """Add a BatchNorm with its statistics and counter."""
        for part in ("weight", "bias", "running_mean", "running_var"):
            self._shapes[f"{name}.{part}"] = (channels,)
        self._shapes[f"{name}.{COUNTER}"] = ()

    def linear(self, name: str, features_in: int, features_out: int) -> None:
        """Add a linear layer with bias."""
        self._shapes[f"{name}.weight"] = (features_out, features_in)
        self._shapes[f"{name}.bias"] = (features_out,)
        self._macs += features_in * features_out

    def finish(self, spec: ArchitectureSpec) -> Layout:
        """Return the table."""
        return Layout(spec, self._shapes, self._macs)
