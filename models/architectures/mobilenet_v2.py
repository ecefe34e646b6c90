"""MobileNetV2 for 32x32 images.

A unit expands by a 1x1 convolution, filters every channel by a 3x3 one and projects by another 1x1, each with
BatchNorm, ReLU after the first two; a unit that does not stride adds its input. Parameter names are those of
kuangliu/pytorch-cifar. No ReLU follows a unit, so a stage ends at its last unit's output as it is.

Source: Sandler et al., CVPR 2018; ReLU instead of ReLU6 as in the repository.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from models.architectures.staged import ChainedClassifier
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import validate_name
from models.recipes.blueprints.mobile import (
    MOBILENET_HEAD,
    MOBILENET_STEM,
    InvertedUnit,
    mobilenet_stages,
)


class Unit(nn.Module):
    """1x1, depthwise 3x3, 1x1 convolution with BatchNorm, plus the input where the stride is 1."""

    def __init__(self, numbers: InvertedUnit) -> None:
        """Make the unit."""
        super().__init__()
        hidden, channels_out = numbers.hidden, numbers.channels_out
        self.adds_input = numbers.stride == 1
        self.conv1 = nn.Conv2d(numbers.channels_in, hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, numbers.stride, 1, groups=hidden, bias=False)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv3 = nn.Conv2d(hidden, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if numbers.projects_shortcut:
            self.shortcut.append(nn.Conv2d(numbers.channels_in, channels_out, 1, bias=False))
            self.shortcut.append(nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = functional.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return cast(Tensor, out + self.shortcut(x) if self.adds_input else out)


class MobileNetV2(ChainedClassifier):
    """MobileNetV2 of width 1 for any input size."""

    def __init__(self, num_classes: int) -> None:
        """Build and initialize the network for ``num_classes`` logits."""
        super().__init__()
        stages = mobilenet_stages()
        self.ends = [sum(map(len, stages[: index + 1])) for index in range(len(stages))]
        self.stage_channels = tuple(units[-1].channels_out for units in stages)
        self.conv1 = nn.Conv2d(3, MOBILENET_STEM, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(MOBILENET_STEM)
        self.layers = nn.Sequential(*(Unit(unit) for units in stages for unit in units))
        self.conv2 = nn.Conv2d(self.stage_channels[-1], MOBILENET_HEAD, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(MOBILENET_HEAD)
        self.linear = nn.Linear(MOBILENET_HEAD, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def stem(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to (N, 32, H, W), after the ReLU."""
        return functional.relu(self.bn1(self.conv1(x)))

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run the units of one size of the map; returns the last one's output."""
        return cast(Tensor, self._units(index)(x))

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 320, H, W) to logits (N, K) and pooled features (N, 1280)."""
        pooled = functional.relu(self.bn2(self.conv2(x))).mean(dim=(2, 3))
        return self.linear(pooled), pooled

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        """Return the last unit's last BatchNorm."""
        return cast(Unit, self._units(index)[-1]).bn3

    def is_rectified(self, index: int) -> bool:
        """Say no: a unit ends linearly, and the next one begins with a convolution."""
        del index
        return False

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        """List the convolutions of the stage's units, those of the shortcuts included."""
        return [module for module in self._units(index).modules() if isinstance(module, nn.Conv2d)]

    def _units(self, index: int) -> nn.Sequential:
        return self.layers[self.ends[index - 1] if index else 0 : self.ends[index]]


def build_mobilenet_v2(spec: ArchitectureSpec) -> MobileNetV2:
    """Build ``mobilenet-v2``.

    Raises:
        RecipeError: For any unknown name (code ``architecture_unknown``).
    """
    validate_name(spec.name)
    return MobileNetV2(spec.num_classes)
