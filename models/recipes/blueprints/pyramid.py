"""PyramidNet: every unit is a little wider than the one before.

Source: Han et al., CVPR 2017, section 2.1 (additive widening) and table 4 (depths and widening factors).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

STEM_CHANNELS = 16
#: A bottleneck hands on four times the width of its 3x3 convolution.
EXPANSION = 4
_NAME = re.compile(r"pyramidnet-(110|164|200|236|272)-([1-9][0-9]{0,2})")


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Three stages of units.

    Attributes:
        widths: Of the 3x3 convolutions of every unit, by stage.
        bottleneck: Whether a unit is 1x1-3x3-1x1 (all depths but 110) instead of 3x3-3x3.
    """

    widths: tuple[tuple[int, ...], ...]
    bottleneck: bool

    def output(self, width: int) -> int:
        """Return what a unit of that width hands on."""
        return width * EXPANSION if self.bottleneck else width


def pyramid(name: str) -> Pyramid | None:
    """Return the blueprint of ``pyramidnet-D-A``, D a depth of the paper and A the widening, or None."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    depth, alpha = int(match[1]), int(match[2])
    bottleneck = depth != 110
    units = (depth - 2) // (9 if bottleneck else 6)
    step, width = alpha / (3 * units), float(STEM_CHANNELS)
    stages = []
    for _ in range(3):
        widths = []
        for _ in range(units):
            width += step
            widths.append(round(width))
        stages.append(tuple(widths))
    return Pyramid(tuple(stages), bottleneck)
