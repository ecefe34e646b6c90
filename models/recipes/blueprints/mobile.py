"""Networks for small devices, with strides for 32x32 images: MobileNetV2 and ShuffleNetV2.

Sources: Sandler et al., CVPR 2018, table 2; Ma et al., ECCV 2018, table 5. Strides, the 3x3 stem of stride 1
and the 1x1 shortcut where MobileNetV2 widens without striding are kuangliu/pytorch-cifar's.
"""

from __future__ import annotations

from dataclasses import dataclass

MOBILENET_V2 = "mobilenet-v2"
#: Expansion, channels, units, stride of the first unit; one row per width, grouped by the size of the map.
MOBILENET_STAGES: tuple[tuple[tuple[int, int, int, int], ...], ...] = (
    ((1, 16, 1, 1), (6, 24, 2, 1)),
    ((6, 32, 3, 2),),
    ((6, 64, 4, 2), (6, 96, 3, 1)),
    ((6, 160, 3, 2), (6, 320, 1, 1)),
)
MOBILENET_STEM, MOBILENET_HEAD = 32, 1280


@dataclass(frozen=True, slots=True)
class InvertedUnit:
    """One unit of MobileNetV2: expand by 1x1, filter each channel, project by 1x1."""

    channels_in: int
    channels_out: int
    expansion: int
    stride: int

    @property
    def hidden(self) -> int:
        """Channels between the two 1x1 convolutions."""
        return self.channels_in * self.expansion

    @property
    def projects_shortcut(self) -> bool:
        """Whether the shortcut is a 1x1 convolution with BatchNorm; a unit that strides has none at all."""
        return self.stride == 1 and self.channels_in != self.channels_out


def mobilenet_stages() -> tuple[tuple[InvertedUnit, ...], ...]:
    """Return the units of each stage in order."""
    stages, channels = [], MOBILENET_STEM
    for rows in MOBILENET_STAGES:
        units = []
        for expansion, width, count, stride in rows:
            for index in range(count):
                units.append(InvertedUnit(channels, width, expansion, stride if index == 0 else 1))
                channels = width
        stages.append(tuple(units))
    return tuple(stages)


SHUFFLENET_STEM = 24
#: Units per stage after the one that strides.
SHUFFLENET_COUNTS = (3, 7, 3)
SHUFFLENETS: dict[str, tuple[int, int, int, int]] = {
    "shufflenet-v2-x0.5": (48, 96, 192, 1024),
    "shufflenet-v2-x1": (116, 232, 464, 1024),
    "shufflenet-v2-x1.5": (176, 352, 704, 1024),
    "shufflenet-v2-x2": (224, 488, 976, 2048),
}
"""Channels of the three stages and of the last convolution, by registry name."""
