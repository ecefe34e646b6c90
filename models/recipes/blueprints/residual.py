"""Residual networks whose units end with the sum: ResNet and ResNeXt.

Sources: He et al., CVPR 2016, table 1; Xie et al., CVPR 2017, table 1 and section 5.2 (ResNeXt-29). The stem
for small images (3x3, stride 1, no pooling) is common practice, not the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

_COUNTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
#: Channels of layer 1; 64 is the paper's and goes without saying in the name.
_BASE_WIDTHS = (64, 32, 16)
#: Cardinality and width of a group that ResNeXt-29 is published with.
_GROUPS = ((1, 64), (2, 64), (4, 64), (8, 64), (16, 64), (32, 4))


@dataclass(frozen=True, slots=True)
class Residual:
    """A stem, stages of units, the mean over the map, one linear layer.

    Attributes:
        counts: Units per stage.
        widths: Channels of the 3x3 convolutions of each stage.
        outputs: Channels that each stage hands on.
        bottleneck: Whether a unit is 1x1-3x3-1x1 instead of 3x3-3x3.
        stem_channels: Channels of the first convolution.
        stem_kernel: Its side; 7 strides by 2, as for large images.
        maxpool: Whether a 3x3 max pooling with stride 2 follows the stem.
        groups: Groups of the 3x3 convolutions of a bottleneck.
    """

    counts: tuple[int, ...]
    widths: tuple[int, ...]
    outputs: tuple[int, ...]
    bottleneck: bool = False
    stem_channels: int = 64
    stem_kernel: int = 3
    maxpool: bool = False
    groups: int = 1

    @property
    def shortcut_name(self) -> str:
        """What a unit calls its projection: torchvision's word where its pooling is, else kuangliu's.

        The pooling has no weights, so a name must tell it, or a student saved here could not be read again.
        """
        return "downsample" if self.maxpool else "shortcut"

    @property
    def head_name(self) -> str:
        """What the network calls its linear layer, as above."""
        return "fc" if self.maxpool else "linear"

    @property
    def stem_stride(self) -> int:
        """Stride of the first convolution."""
        return 2 if self.stem_kernel == 7 else 1


def _resnet(depth: int, width: int, maxpool: bool) -> Residual:
    widths = tuple(width * 2**stage for stage in range(4))
    bottleneck = depth >= 50
    outputs = tuple(4 * one for one in widths) if bottleneck else widths
    return Residual(_COUNTS[depth], widths, outputs, bottleneck, stem_channels=width, maxpool=maxpool)


def _resnext_paper(cardinality: int, group_width: int) -> Residual:
    widths = tuple(cardinality * group_width * 2**stage for stage in range(3))
    return Residual((3, 3, 3), widths, (256, 512, 1024), bottleneck=True, groups=cardinality)


def _resnext_pointwise(cardinality: int, group_width: int) -> Residual:
    widths = tuple(cardinality * group_width * 2**stage for stage in range(3))
    outputs = tuple(2 * width for width in widths)
    return Residual((3, 3, 3), widths, outputs, bottleneck=True, stem_kernel=1, groups=cardinality)


RESNETS: dict[str, Residual] = {
    f"resnet-{depth}{f'-w{width}' if width != 64 else ''}{'-maxpool' if maxpool else ''}": _resnet(
        depth, width, maxpool
    )
    for depth in _COUNTS
    for width in _BASE_WIDTHS
    for maxpool in (False, True)
}

RESNEXTS: dict[str, Residual] = {
    f"resnext-29-{cardinality}x{width}d{suffix}": make(cardinality, width)
    for suffix, make in (("", _resnext_paper), ("-pointwise", _resnext_pointwise))
    for cardinality, width in _GROUPS
}


def _library(depth: int, width_factor: int = 1, cardinality: int = 1, group_width: int = 64) -> Residual:
    bases = (64, 128, 256, 512)
    bottleneck = depth >= 50
    scale = width_factor * cardinality * group_width / 64
    widths = tuple(int(base * scale) for base in bases)
    outputs = tuple(4 * base for base in bases) if bottleneck else bases
    return Residual(
        _COUNTS[depth], widths, outputs, bottleneck, stem_kernel=7, maxpool=True, groups=cardinality
    )


LIBRARY_RESNETS: dict[str, Residual] = {
    "torchvision-resnet18": _library(18),
    "torchvision-resnet34": _library(34),
    "torchvision-resnet50": _library(50),
    "torchvision-resnet101": _library(101),
    "torchvision-resnet152": _library(152),
    "torchvision-resnext50_32x4d": _library(50, cardinality=32, group_width=4),
    "torchvision-resnext101_32x8d": _library(101, cardinality=32, group_width=8),
    "torchvision-resnext101_64x4d": _library(101, cardinality=64, group_width=4),
    "torchvision-wide_resnet50_2": _library(50, width_factor=2),
    "torchvision-wide_resnet101_2": _library(101, width_factor=2),
}
"""With the stem for large images; torchvision's names after the prefix."""

RESIDUAL: dict[str, Residual] = RESNETS | RESNEXTS | LIBRARY_RESNETS
"""Every member by its registry name."""
