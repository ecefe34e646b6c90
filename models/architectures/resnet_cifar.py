"""ResNet-20 to ResNet-110 for small images.

Three stages of n = (D - 2) / 6 basic units with 16, 32 and 64 channels; where the width doubles, the
shortcut takes every second pixel and pads channels with zeros, so it has no parameters ("option A").
Parameter names are those of akamaster's public checkpoints.

Every unit here starts with the ReLU that closes the previous one, so a stage ends before its last ReLU: what
feature distillation reads is the sum itself, and no parameter name changes.

Source: He et al., CVPR 2016, section 4.2; initialization of He et al., ICCV 2015.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from models.architectures.staged import ChainedClassifier
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import validate_name

WIDTHS = (16, 32, 64)


class Unit(nn.Module):
    """ReLU-conv-BN-ReLU-conv-BN with a parameter-free shortcut, from ReLU input to ReLU input."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        """Make the unit; it strides where the width changes."""
        super().__init__()
        self.stride = 1 if channels_in == channels_out else 2
        self.padding = (channels_out - channels_in) // 2
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        x = functional.relu(x)
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.stride == 2:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.padding, self.padding))
        return cast(Tensor, out + x)


class ResNetCifar(ChainedClassifier):
    """ResNet-(6n + 2) for any input size."""

    def __init__(self, units: int, num_classes: int) -> None:
        """Build and initialize the network.

        Args:
            units: Units per stage, n.
            num_classes: Number of logits K.
        """
        super().__init__()
        self.stage_channels = WIDTHS
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.layer1 = _layer(units, WIDTHS[0], WIDTHS[0])
        self.layer2 = _layer(units, WIDTHS[0], WIDTHS[1])
        self.layer3 = _layer(units, WIDTHS[1], WIDTHS[2])
        self.linear = nn.Linear(WIDTHS[2], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    @property
    def layers(self) -> tuple[nn.Sequential, nn.Sequential, nn.Sequential]:
        """The three stages."""
        return (self.layer1, self.layer2, self.layer3)

    def stem(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to (N, 16, H, W), before the ReLU."""
        return cast(Tensor, self.bn1(self.conv1(x)))

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run layer ``index + 1``; returns the sum before its last ReLU."""
        return cast(Tensor, self.layers[index](x))

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 64, H, W) to logits (N, K) and pooled features (N, 64)."""
        pooled = functional.relu(x).mean(dim=(2, 3))
        return self.linear(pooled), pooled

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        """Return the last unit's second BatchNorm, the last one before the sum."""
        return cast(Unit, self.layers[index][-1]).bn2

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        """List the convolutions of layer ``index + 1``: conv1 and conv2 of each unit."""
        return [module for module in self.layers[index].modules() if isinstance(module, nn.Conv2d)]


def _layer(units: int, channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(*(Unit(channels_in if i == 0 else channels_out, channels_out) for i in range(units)))


def build_resnet_cifar(spec: ArchitectureSpec) -> ResNetCifar:
    """Build ``resnet-D``, D one of 20, 32, 44, 56, 110.

    Raises:
        RecipeError: If the name is not one of these (code ``architecture_unknown``).
    """
    if validate_name(spec.name).name != "resnet-cifar":
        raise RecipeError(f"{spec.name} is not a CIFAR ResNet.", code="architecture_unknown")
    depth = int(spec.name.removeprefix("resnet-"))
    return ResNetCifar((depth - 2) // 6, spec.num_classes)
