"""ResNet-18 to ResNet-152 with a stem for small or large images, and ResNeXt.

A unit is two 3x3 convolutions, or 1x1-3x3-1x1 (whose 3x3 strides, and is grouped in ResNeXt), with BatchNorm;
where width or size change the shortcut is a 1x1 convolution with BatchNorm ("option B"). Parameter names are
those of kuangliu/pytorch-cifar, and torchvision's (``downsample``, ``fc``) where a pooling follows the stem.

Every unit here starts with the ReLU that closes the previous one, so a stage ends before its last ReLU: what
feature distillation reads is the sum itself, and no parameter name changes. A max pooling after the stem
commutes with that ReLU.

Source: He et al., CVPR 2016; Xie et al., CVPR 2017; initialization of He et al., ICCV 2015.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from models.architectures.staged import ChainedClassifier
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import validate_name
from models.recipes.blueprints.residual import RESIDUAL, Residual


class Unit(nn.Module):
    """ReLU, two 3x3 convolutions with BatchNorm, plus the shortcut; from ReLU input to ReLU input."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, shortcut_name: str) -> None:
        """Make the unit."""
        super().__init__()
        self.shortcut_name = shortcut_name
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.add_module(shortcut_name, _shortcut(channels_in, channels_out, stride))

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The BatchNorm before the sum."""
        return self.bn2

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        x = functional.relu(x)
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return cast(Tensor, out + self.get_submodule(self.shortcut_name)(x))


class Bottleneck(nn.Module):
    """ReLU, 1x1-3x3-1x1 convolutions with BatchNorm, plus the shortcut; from ReLU input to ReLU input."""

    def __init__(self, blueprint: Residual, index: int, channels_in: int, stride: int) -> None:
        """Make a unit of stage ``index``."""
        super().__init__()
        width, channels_out, groups = blueprint.widths[index], blueprint.outputs[index], blueprint.groups
        self.shortcut_name = shortcut_name = blueprint.shortcut_name
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.add_module(shortcut_name, _shortcut(channels_in, channels_out, stride))

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The BatchNorm before the sum."""
        return self.bn3

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        x = functional.relu(x)
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(functional.relu(self.bn2(self.conv2(out)))))
        return cast(Tensor, out + self.get_submodule(self.shortcut_name)(x))


class ResNet(ChainedClassifier):
    """A residual network for any input size."""

    def __init__(self, blueprint: Residual, num_classes: int) -> None:
        """Build and initialize the network.

        Args:
            blueprint: Depths and widths.
            num_classes: Number of logits K.
        """
        super().__init__()
        self.stage_channels = blueprint.outputs
        kernel, channels = blueprint.stem_kernel, blueprint.stem_channels
        self.conv1 = nn.Conv2d(3, channels, kernel, blueprint.stem_stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if blueprint.maxpool else nn.Identity()
        for index, channels_out in enumerate(blueprint.outputs):
            self.add_module(f"layer{index + 1}", _layer(blueprint, index, channels))
            channels = channels_out
        self.head_name = blueprint.head_name
        self.add_module(self.head_name, nn.Linear(channels, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def layer(self, index: int) -> nn.Sequential:
        """Return the units of stage ``index``."""
        return cast(nn.Sequential, self.get_submodule(f"layer{index + 1}"))

    def stem(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to (N, C, H, W), smaller if it strides; before the ReLU."""
        return cast(Tensor, self.maxpool(self.bn1(self.conv1(x))))

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run layer ``index + 1``; returns the sum before its last ReLU."""
        return cast(Tensor, self.layer(index)(x))

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to logits (N, K) and pooled features (N, C)."""
        pooled = functional.relu(x).mean(dim=(2, 3))
        return self.get_submodule(self.head_name)(pooled), pooled

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        """Return the last unit's last BatchNorm, the one before the sum."""
        return cast(Unit | Bottleneck, self.layer(index)[-1]).last_norm

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        """List the convolutions of layer ``index + 1``, those of the shortcuts included."""
        return [module for module in self.layer(index).modules() if isinstance(module, nn.Conv2d)]


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    if stride == 1 and channels_in == channels_out:
        return nn.Sequential()
    convolution = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out))


def _layer(blueprint: Residual, index: int, channels_in: int) -> nn.Sequential:
    channels_out = blueprint.outputs[index]
    units: list[nn.Module] = []
    for unit in range(blueprint.counts[index]):
        stride = 2 if index > 0 and unit == 0 else 1
        if blueprint.bottleneck:
            units.append(Bottleneck(blueprint, index, channels_in, stride))
        else:
            units.append(Unit(channels_in, channels_out, stride, blueprint.shortcut_name))
        channels_in = channels_out
    return nn.Sequential(*units)


def build_resnet(spec: ArchitectureSpec) -> ResNet:
    """Build a member of ``RESIDUAL`` by name, such as ``resnet-18`` or ``resnext-29-8x64d``.

    Raises:
        RecipeError: If there is none of that name (code ``architecture_unknown``).
    """
    validate_name(spec.name)
    return ResNet(RESIDUAL[spec.name], spec.num_classes)
