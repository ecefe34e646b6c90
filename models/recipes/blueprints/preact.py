"""Pre-activation residual networks in the ``layer1.0.bn1`` layouts.

Sources: He et al., ECCV 2016 (kuangliu/pytorch-cifar leaves out the last BatchNorm, locuslab/fast_adversarial
keeps it as ``bn``); Zagoruyko and Komodakis, BMVC 2016, as written in meliketoy/wide-resnet.pytorch: with
biases, the stride in the second convolution, and the shortcut from what was not activated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_COUNTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_WIDE = re.compile(r"wrn-([1-9][0-9]{1,2})-([1-9][0-9]?)-biased")


@dataclass(frozen=True, slots=True)
class Preact:
    """A stem without BatchNorm, stages of units that begin with BatchNorm and ReLU, a linear layer.

    Attributes:
        counts: Units per stage.
        widths: Channels of each stage.
        stem_channels: Channels of the first convolution.
        final_norm: Name of the BatchNorm before the pooling; None if there is none.
        biased: Whether convolutions have biases, the second one strides and the shortcut takes the raw input.
    """

    counts: tuple[int, ...]
    widths: tuple[int, ...]
    stem_channels: int
    final_norm: str | None
    biased: bool = False


PREACT_RESNETS: dict[str, Preact] = {
    f"preact-resnet-{depth}{f'-w{width}' if width != 64 else ''}{suffix}": Preact(
        counts, (width, 2 * width, 4 * width, 8 * width), width, final_norm
    )
    for depth, counts in _COUNTS.items()
    for width in (64, 32, 16)
    for suffix, final_norm in (("", None), ("-bn", "bn"))
}


def preact(name: str) -> Preact | None:
    """Return the blueprint of ``preact-resnet-D``, ``preact-resnet-D-bn`` or ``wrn-D-K-biased``, or None."""
    match = _WIDE.fullmatch(name)
    if match is None:
        return PREACT_RESNETS.get(name)
    depth, widen = int(match[1]), int(match[2])
    if not 10 <= depth <= 112 or (depth - 4) % 6 or widen > 16:
        return None
    return Preact(((depth - 4) // 6,) * 3, (16 * widen, 32 * widen, 64 * widen), 16, "bn1", biased=True)
