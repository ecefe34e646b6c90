"""The small VGG with ELU of the I-BAU checkpoints (their ``small_VGG16``).

Two 3x3 convolutions with BatchNorm and ELU at 32, 64 and 128 channels, each pair followed by pooling and
dropout; the flattened map goes to one linear layer. Parameter names are theirs: ``features.N`` counts every
module, activations and dropout included.

The first convolution is the stem, and a stage ends at its second BatchNorm, before the ELU; the ELU, the
pooling and the dropout that follow belong to the next stage or to the head.

Source: Zeng et al., Adversarial Unlearning of Backdoors via Implicit Hypergradient, ICLR 2022 (code).
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from models.architectures.staged import ChainedClassifier
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec

WIDTHS = (32, 64, 128)
_DROPOUTS = (0.3, 0.4, 0.4)
_MODULES_PER_PAIR = 8
#: Where a pair's first ELU and its second BatchNorm stand among its eight modules.
_FIRST_ACTIVATION, _LAST_NORM = 2, 4


class SmallVgg(ChainedClassifier):
    """Six convolutions and one linear layer."""

    def __init__(self, num_classes: int, input_size: int) -> None:
        """Build the network with torch's own initialization, as the source does.

        Args:
            num_classes: Number of logits K.
            input_size: Side of the images in pixels, a multiple of 8.
        """
        super().__init__()
        self.stage_channels = WIDTHS
        channels = (3, *WIDTHS)
        pairs = zip(channels, WIDTHS, _DROPOUTS, strict=False)
        self.features = nn.Sequential(*(module for pair in pairs for module in _pair(*pair)))
        self.classifier = nn.Linear(WIDTHS[-1] * (input_size // 8) ** 2, num_classes)

    def stem(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to (N, 32, H, W), after the first ELU."""
        return cast(Tensor, self.features[: _FIRST_ACTIVATION + 1](x))

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run on to the second BatchNorm of pair ``index``; returns its output, before the ELU."""
        return cast(Tensor, self.features[self._span(index)](x))

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 128, H / 4, W / 4) to logits (N, K) and the flattened pooled map (N, 128 (H / 8)^2)."""
        pooled = self.features[self._span(len(WIDTHS) - 1).stop :](x).flatten(1)
        return self.classifier(pooled), pooled

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        """Return the BatchNorm that ends the stage."""
        return cast(nn.BatchNorm2d, self.features[self._span(index).stop - 1])

    def is_rectified(self, index: int) -> bool:
        """Say no: an ELU follows, which lets negative responses through, bounded."""
        del index
        return False

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        """List the convolutions of the stage: two, but one in stage 0, whose other one is the stem."""
        return [module for module in self.features[self._span(index)] if isinstance(module, nn.Conv2d)]

    @staticmethod
    def _span(index: int) -> slice:
        stop = index * _MODULES_PER_PAIR + _LAST_NORM + 1
        start = _FIRST_ACTIVATION + 1 if index == 0 else stop - _MODULES_PER_PAIR
        return slice(start, stop)


def _pair(channels_in: int, channels_out: int, dropout: float) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels_in, channels_out, 3, 1, 1),
        nn.BatchNorm2d(channels_out),
        nn.ELU(),
        nn.Conv2d(channels_out, channels_out, 3, 1, 1),
        nn.BatchNorm2d(channels_out),
        nn.ELU(),
        nn.MaxPool2d(2),
        nn.Dropout(dropout),
    )


def build_vgg(spec: ArchitectureSpec) -> SmallVgg:
    """Build ``vgg-small-elu``.

    Raises:
        RecipeError: ``input_size_unsupported`` if three poolings do not divide the input, or
            ``architecture_unknown`` for any other name.
    """
    if spec.name != "vgg-small-elu":
        raise RecipeError(
            f"There is no VGG called {spec.name!r}.", code="architecture_unknown", hint="Write vgg-small-elu."
        )
    if spec.input_size % 8:
        raise RecipeError(
            f"vgg-small-elu takes images whose side is a multiple of 8, not {spec.input_size}.",
            code="input_size_unsupported",
        )
    return SmallVgg(spec.num_classes, spec.input_size)
