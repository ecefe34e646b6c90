"""Networks without shortcuts: VGG for 32x32 images, and a plain CNN.

Source: Simonyan and Zisserman, ICLR 2015, table 1, columns A, B, D and E. The single linear layer after the
features is that of kuangliu/pytorch-cifar; two hidden layers of 512 are chengyangfu/pytorch-vgg-cifar10's and
two of 4096 weiaicunzai/pytorch-cifar100's.
"""

from __future__ import annotations

from dataclasses import dataclass

_COUNTS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
#: Channels of the first stage; 64 is the paper's and goes without saying in a VGG's name.
_BASE_WIDTHS = (64, 32, 16)


@dataclass(frozen=True, slots=True)
class Plain:
    """Stages of 3x3 convolutions with ReLU, a 2x2 max pooling after each, then linear layers.

    Attributes:
        counts: Convolutions per stage.
        widths: Channels of each stage.
        norm: Whether a BatchNorm follows each convolution.
        hidden: Width of two hidden linear layers; 0 for none.
        global_mean: Whether the mean over the map replaces the last pooling, so that any input size will do.
    """

    counts: tuple[int, ...]
    widths: tuple[int, ...]
    norm: bool
    hidden: int = 0
    global_mean: bool = False

    @property
    def divisor(self) -> int:
        """What the input's side must be a multiple of."""
        return 1 if self.global_mean else 2 ** len(self.counts)

    @property
    def hidden_positions(self) -> tuple[int, int, int]:
        """Where the linear layers stand in ``classifier``: a dropout comes first before 512."""
        return (1, 4, 6) if self.hidden == 512 else (0, 3, 6)

    def positions(self) -> list[list[int]]:
        """Where each stage's convolutions stand in ``features``, which counts every module."""
        step = 3 if self.norm else 2
        found, position = [], 0
        for count in self.counts:
            found.append([position + step * index for index in range(count)])
            position += step * count + 1
        return found


def _vgg_name(depth: int, norm: bool, width: int, hidden: int) -> str:
    parts = (f"vgg-{depth}", "bn" if norm else "", f"w{width}" if width != 64 else "")
    return "-".join(filter(None, (*parts, f"fc{hidden}" if hidden else "")))


VGGS: dict[str, Plain] = {
    _vgg_name(depth, norm, width, hidden): (
        Plain(counts, tuple(width * factor for factor in (1, 2, 4, 8, 8)), norm, hidden)
    )
    for depth, counts in _COUNTS.items()
    for norm in (False, True)
    for width in _BASE_WIDTHS
    for hidden in (0, 512, 4096)
}

PLAIN_CNNS: dict[str, Plain] = {
    f"plain-cnn-w{width}": Plain((2, 2, 2), (width, 2 * width, 4 * width), norm=True, global_mean=True)
    for width in _BASE_WIDTHS
}
