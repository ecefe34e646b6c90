"""VGG-11 to VGG-19 for 32x32 images, with and without BatchNorm, and a plain CNN.

``features`` counts every module (convolution, BatchNorm, ReLU, pooling) as the public repositories do;
``classifier`` is one linear layer, or three with dropout between them. The plain CNN has two convolutions at
each of three widths and the mean over the map before its linear layer.

The first convolution, with its BatchNorm, is the stem. A stage ends at its last convolution or BatchNorm,
before the ReLU; ReLU and pooling belong to the next stage or to the head. Stage 0 of VGG-11 has one
convolution, the stem's, so it does nothing.

Source: Simonyan and Zisserman, ICLR 2015; initialization of He et al., ICCV 2015.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from models.architectures.staged import ChainedClassifier, no_margins
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import validate_name
from models.recipes.blueprints.plain import PLAIN_CNNS, VGGS, Plain


class PlainNetwork(ChainedClassifier):
    """Convolutions in a row."""

    def __init__(self, blueprint: Plain, num_classes: int, input_size: int) -> None:
        """Build and initialize the network.

        Args:
            blueprint: Depths and widths.
            num_classes: Number of logits K.
            input_size: Side of the images in pixels, a multiple of ``blueprint.divisor``.
        """
        super().__init__()
        self.stage_channels = blueprint.widths
        self.norm = blueprint.norm
        self.positions = blueprint.positions()
        modules: list[nn.Module] = []
        channels = 3
        for count, width in zip(blueprint.counts, blueprint.widths, strict=True):
            for _ in range(count):
                modules.append(nn.Conv2d(channels, width, 3, 1, 1))
                modules += [nn.BatchNorm2d(width)] if blueprint.norm else []
                modules.append(nn.ReLU())
                channels = width
            modules.append(nn.MaxPool2d(2))
        if blueprint.global_mean:
            modules[-1] = nn.AdaptiveAvgPool2d(1)
        self.features = nn.Sequential(*modules)
        side = 1 if blueprint.global_mean else input_size // blueprint.divisor
        self.classifier = _classifier(channels * side**2, blueprint.hidden, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def stem(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to (N, C, H, W), before the first ReLU."""
        return cast(Tensor, self.features[: self._after(0)](x))

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run on to the last convolution of stage ``index``, or its BatchNorm; returns its output."""
        return cast(Tensor, self.features[self._span(index)](x))

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map the last stage's output to logits (N, K) and the last linear layer's input (N, D)."""
        pooled = self.features[self._span(len(self.stage_channels) - 1).stop :](x).flatten(1)
        if isinstance(self.classifier, nn.Sequential):
            pooled = self.classifier[:-1](pooled)
            return self.classifier[-1](pooled), pooled
        return self.classifier(pooled), pooled

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        """Return the BatchNorm that ends the stage.

        Raises:
            RecipeError: ``stages_incompatible`` if the network has no BatchNorm.
        """
        if not self.norm:
            raise no_margins("this network has none")
        return cast(nn.BatchNorm2d, self.features[self._span(index).stop - 1])

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        """List the convolutions of the stage; the stem's is not among those of stage 0."""
        return [module for module in self.features[self._span(index)] if isinstance(module, nn.Conv2d)]

    def _after(self, position: int) -> int:
        return position + (2 if self.norm else 1)

    def _span(self, index: int) -> slice:
        start = 0 if index == 0 else self.positions[index - 1][-1]
        return slice(self._after(start), self._after(self.positions[index][-1]))


def _classifier(features: int, hidden: int, num_classes: int) -> nn.Module:
    if not hidden:
        return nn.Linear(features, num_classes)
    first, second = nn.Linear(features, hidden), nn.Linear(hidden, hidden)
    last = nn.Linear(hidden, num_classes)
    if hidden == 512:
        return nn.Sequential(nn.Dropout(), first, nn.ReLU(), nn.Dropout(), second, nn.ReLU(), last)
    return nn.Sequential(first, nn.ReLU(), nn.Dropout(), second, nn.ReLU(), nn.Dropout(), last)


def build_plain(spec: ArchitectureSpec) -> PlainNetwork:
    """Build a VGG or plain CNN by name, such as ``vgg-16-bn`` or ``plain-cnn-w32``.

    Raises:
        RecipeError: ``architecture_unknown`` if there is none of that name, ``input_size_unsupported`` if the
            poolings do not divide the input.
    """
    validate_name(spec.name)
    blueprint = (VGGS | PLAIN_CNNS)[spec.name]
    if spec.input_size % blueprint.divisor:
        raise RecipeError(
            f"{spec.name} takes images whose side is a multiple of {blueprint.divisor}, "
            f"not {spec.input_size}.",
            code="input_size_unsupported",
        )
    return PlainNetwork(blueprint, spec.num_classes, spec.input_size)
