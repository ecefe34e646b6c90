"""ShuffleNetV2 for 32x32 images.

A unit works on one half of the channels (1x1, depthwise 3x3, 1x1) and passes the other half on; the first
unit of a stage strides and works on both halves. The halves are then interleaved. Parameter names are those
of kuangliu/pytorch-cifar.

A half ends with its ReLU and the halves lie side by side, so no single BatchNorm describes a stage, and a
stage's output is what follows the ReLU. Feature distillation then has margins of zero.

Source: Ma et al., ECCV 2018, figure 3 (c) and (d); no pooling after the stem, as in the repository.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.architectures.staged import ChainedClassifier
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import validate_name
from models.recipes.blueprints.mobile import SHUFFLENET_COUNTS, SHUFFLENET_STEM, SHUFFLENETS


def interleave(x: Tensor) -> Tensor:
    """Take channels of (N, C, H, W) alternately from the first and the second half."""
    n, channels, height, width = x.shape
    return x.view(n, 2, channels // 2, height, width).transpose(1, 2).reshape(n, channels, height, width)


class Unit(nn.Module):
    """Half of the channels passes, the other half is filtered."""

    def __init__(self, channels: int) -> None:
        """Make the unit for an even number of channels."""
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Conv2d(half, half, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, 1, 1, groups=half, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, half, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        passed, filtered = x.chunk(2, dim=1)
        filtered = functional.relu(self.bn1(self.conv1(filtered)))
        filtered = functional.relu(self.bn3(self.conv3(self.bn2(self.conv2(filtered)))))
        return interleave(torch.cat([passed, filtered], dim=1))


class DownUnit(nn.Module):
    """Both halves see the whole input and stride."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        """Make the unit."""
        super().__init__()
        half = channels_out // 2
        self.conv1 = nn.Conv2d(channels_in, channels_in, 3, 2, 1, groups=channels_in, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv2 = nn.Conv2d(channels_in, half, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(channels_in, half, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv4 = nn.Conv2d(half, half, 3, 2, 1, groups=half, bias=False)
        self.bn4 = nn.BatchNorm2d(half)
        self.conv5 = nn.Conv2d(half, half, 1, bias=False)
        self.bn5 = nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / 2, W / 2)."""
        left = functional.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = functional.relu(self.bn3(self.conv3(x)))
        right = functional.relu(self.bn5(self.conv5(self.bn4(self.conv4(right)))))
        return interleave(torch.cat([left, right], dim=1))


class ShuffleNetV2(ChainedClassifier):
    """ShuffleNetV2 for any input size."""

    def __init__(self, widths: tuple[int, int, int, int], num_classes: int) -> None:
        """Build and initialize the network.

        Args:
            widths: Channels of the three stages and of the last convolution.
            num_classes: Number of logits K.
        """
        super().__init__()
        self.stage_channels = widths[:3]
        self.conv1 = nn.Conv2d(3, SHUFFLENET_STEM, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(SHUFFLENET_STEM)
        channels = SHUFFLENET_STEM
        for index, (width, count) in enumerate(zip(widths[:3], SHUFFLENET_COUNTS, strict=True)):
            units = (Unit(width) for _ in range(count))
            self.add_module(f"layer{index + 1}", nn.Sequential(DownUnit(channels, width), *units))
            channels = width
        self.conv2 = nn.Conv2d(channels, widths[3], 1, bias=False)
        self.bn2 = nn.BatchNorm2d(widths[3])
        self.linear = nn.Linear(widths[3], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def layer(self, index: int) -> nn.Sequential:
        """Return the units of stage ``index``."""
        return cast(nn.Sequential, self.get_submodule(f"layer{index + 1}"))

    def stem(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to (N, 24, H, W), after the ReLU."""
        return functional.relu(self.bn1(self.conv1(x)))

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run layer ``index + 1``; returns its output, after the ReLU of each half."""
        return cast(Tensor, self.layer(index)(x))

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to logits (N, K) and pooled features (N, D)."""
        pooled = functional.relu(self.bn2(self.conv2(x))).mean(dim=(2, 3))
        return self.linear(pooled), pooled

    def margin_norm(self, index: int) -> None:
        """Return None: the stage's output has passed its ReLU, and nothing of it is negative."""

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        """List the convolutions of layer ``index + 1``."""
        return [module for module in self.layer(index).modules() if isinstance(module, nn.Conv2d)]


def build_shufflenet_v2(spec: ArchitectureSpec) -> ShuffleNetV2:
    """Build a member of ``SHUFFLENETS`` by name, such as ``shufflenet-v2-x1``.

    Raises:
        RecipeError: If there is none of that name (code ``architecture_unknown``).
    """
    validate_name(spec.name)
    return ShuffleNetV2(SHUFFLENETS[spec.name], spec.num_classes)
