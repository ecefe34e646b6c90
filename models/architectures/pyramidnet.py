"""PyramidNet for small images.

A unit is BN-conv-BN-ReLU-conv-BN, or with three convolutions BN-1x1-BN-ReLU-3x3-BN-ReLU-1x1-BN; there is no
ReLU at its start and none after the sum. The shortcut pools by 2 where the unit strides and pads the missing
channels with zeros, so it has no parameters. Parameter names are those of dyhan0920/PyramidNet-PyTorch.

Source: Han et al., CVPR 2017, figure 6 (d); initialization of He et al., ICCV 2015.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from models.architectures.staged import ChainedClassifier, running_norm
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.pyramid import EXPANSION, STEM_CHANNELS, Pyramid, pyramid


class Unit(nn.Module):
    """A unit of two or three convolutions with a parameter-free shortcut."""

    def __init__(self, channels_in: int, width: int, stride: int, bottleneck: bool) -> None:
        """Make the unit."""
        super().__init__()
        self.stride = stride
        self.bn1 = nn.BatchNorm2d(channels_in)
        if bottleneck:
            self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(width)
            self.conv3 = nn.Conv2d(width, width * EXPANSION, 1, bias=False)
            self.bn4 = nn.BatchNorm2d(width * EXPANSION)
        else:
            self.conv1 = nn.Conv2d(channels_in, width, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(width)
        self.bottleneck = bottleneck

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        out = functional.relu(self.bn2(self.conv1(self.bn1(x))))
        out = self.bn3(self.conv2(out))
        if self.bottleneck:
            out = self.bn4(self.conv3(functional.relu(out)))
        shortcut = functional.avg_pool2d(x, 2, ceil_mode=True) if self.stride == 2 else x
        missing = out.shape[1] - x.shape[1]
        return cast(Tensor, out + functional.pad(shortcut, (0, 0, 0, 0, 0, missing)))


class PyramidNet(ChainedClassifier):
    """PyramidNet for any input size."""

    def __init__(self, blueprint: Pyramid, num_classes: int) -> None:
        """Build and initialize the network.

        Args:
            blueprint: Width of every unit.
            num_classes: Number of logits K.
        """
        super().__init__()
        self.stage_channels = tuple(blueprint.output(widths[-1]) for widths in blueprint.widths)
        self.conv1 = nn.Conv2d(3, STEM_CHANNELS, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        channels = STEM_CHANNELS
        for index, widths in enumerate(blueprint.widths):
            units = []
            for unit, width in enumerate(widths):
                stride = 2 if index > 0 and unit == 0 else 1
                units.append(Unit(channels, width, stride, blueprint.bottleneck))
                channels = blueprint.output(width)
            self.add_module(f"layer{index + 1}", nn.Sequential(*units))
        self.bn_final = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def layer(self, index: int) -> nn.Sequential:
        """Return the units of stage ``index``."""
        return cast(nn.Sequential, self.get_submodule(f"layer{index + 1}"))

    def stem(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to (N, 16, H, W); no ReLU follows."""
        return cast(Tensor, self.bn1(self.conv1(x)))

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run layer ``index + 1``; returns the last unit's sum."""
        return cast(Tensor, self.layer(index)(x))

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to logits (N, K) and pooled features (N, C)."""
        pooled = functional.relu(self.bn_final(x)).mean(dim=(2, 3))
        return self.fc(pooled), pooled

    @property
    def feature_channels(self) -> tuple[int, ...]:
        """Channels behind the next bottleneck's first convolution; before a unit of two, the stage's own."""
        units = map(self._next_unit, range(len(self.stage_channels) - 1))
        read = [unit.conv1.out_channels if unit.bottleneck else unit.conv1.in_channels for unit in units]
        return (*read, self.stage_channels[-1])

    def _next_unit(self, index: int) -> Unit:
        """Return the first unit behind stage ``index``, which is not the last stage."""
        return cast(Unit, self.layer(index + 1)[0])

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        """Return the last BatchNorm that ``prerelu`` applies."""
        if index == len(self.stage_channels) - 1:
            return self.bn_final
        unit = self._next_unit(index)
        return unit.bn2 if unit.bottleneck else unit.bn1

    def prerelu(self, index: int, stage_output: Tensor) -> Tensor:
        """Read on to the next ReLU, with running statistics, as a function: no buffers move.

        From the last stage that is the final BatchNorm. From another, a bottleneck's BN-1x1-BN; a unit of two
        convolutions strides in its first, so there it is the first BatchNorm alone and no ReLU follows (Heo
        et al., ICCV 2019, as their code has it).
        """
        if index == len(self.stage_channels) - 1:
            return running_norm(self.bn_final, stage_output)
        unit = self._next_unit(index)
        x = running_norm(unit.bn1, stage_output)
        return running_norm(unit.bn2, unit.conv1(x)) if unit.bottleneck else x

    def is_rectified(self, index: int) -> bool:
        """Say whether a ReLU follows what ``prerelu`` returns."""
        return index == len(self.stage_channels) - 1 or self._next_unit(index).bottleneck

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        """List the convolutions of layer ``index + 1``."""
        return [module for module in self.layer(index).modules() if isinstance(module, nn.Conv2d)]


def build_pyramidnet(spec: ArchitectureSpec) -> PyramidNet:
    """Build ``pyramidnet-D-A``, such as ``pyramidnet-110-270``.

    Raises:
        RecipeError: If there is none of that name (code ``architecture_unknown``).
    """
    blueprint = pyramid(spec.name)
    if blueprint is None:
        raise RecipeError(
            f"There is no PyramidNet called {spec.name!r}.",
            code="architecture_unknown",
            hint="Write pyramidnet-110-84, pyramidnet-110-270 or pyramidnet-200-240.",
        )
    return PyramidNet(blueprint, spec.num_classes)
