"""WRN-d-k, the pre-activation wide residual network of ZSKT and ABD.

Three blocks of n = (d - 4) / 6 units with 16k, 32k and 64k channels at strides 1, 2, 2; the stem has 16
channels and no BatchNorm; all convolutions are without bias. Where the width changes, the BN-ReLU output
feeds both the first convolution and the 1x1 shortcut (pre-activated shortcut); otherwise the shortcut is the
raw input. Parameter names are those of the public ABD and ZSKT checkpoints, whence ``convShortcut``.

Source: Zagoruyko and Komodakis, BMVC 2016; layout and initialization after algorithms.md 1.9.
"""

from __future__ import annotations

import math
import re
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from models.architectures.staged import ChainedClassifier, running_norm
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec

STRIDES = (1, 2, 2)


class Unit(nn.Module):
    """BN-ReLU-conv-BN-ReLU-conv with a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        """Make the unit; it has a 1x1 shortcut only where the width changes."""
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.convShortcut = (
            nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            if channels_in != channels_out
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        activated = functional.relu(self.bn1(x))
        shortcut = x if self.convShortcut is None else self.convShortcut(activated)
        out = self.conv2(functional.relu(self.bn2(self.conv1(activated))))
        return cast(Tensor, shortcut + out)


class Block(nn.Module):
    """``units`` units in a row; the first one strides."""

    def __init__(self, units: int, channels_in: int, channels_out: int, stride: int) -> None:
        """Make the row of units."""
        super().__init__()
        self.layer = nn.Sequential(
            *(
                Unit(channels_in if i == 0 else channels_out, channels_out, stride if i == 0 else 1)
                for i in range(units)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        return cast(Tensor, self.layer(x))


class WideResNet(ChainedClassifier):
    """WRN-depth-widen for any input size."""

    def __init__(self, depth: int, widen: int, num_classes: int) -> None:
        """Build and initialize the network.

        Args:
            depth: 6n + 4 for n units per block.
            widen: Width factor k.
            num_classes: Number of logits K.
        """
        super().__init__()
        units = (depth - 4) // 6
        self.stage_channels = (16 * widen, 32 * widen, 64 * widen)
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        widths = (16, *self.stage_channels)
        self.block1 = Block(units, widths[0], widths[1], STRIDES[0])
        self.block2 = Block(units, widths[1], widths[2], STRIDES[1])
        self.block3 = Block(units, widths[2], widths[3], STRIDES[2])
        self.bn1 = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        nn.init.zeros_(self.fc.bias)

    @property
    def blocks(self) -> tuple[Block, Block, Block]:
        """The three stages."""
        return (self.block1, self.block2, self.block3)

    def stem(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to (N, 16, H, W)."""
        return cast(Tensor, self.conv1(x))

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run block ``index + 1``; returns its raw output, before any BatchNorm."""
        return cast(Tensor, self.blocks[index](x))

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 64k, H, W) to logits (N, K) and pooled features (N, 64k)."""
        pooled = functional.relu(self.bn1(x)).mean(dim=(2, 3))
        return self.fc(pooled), pooled

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        """Return the BatchNorm that precedes the next ReLU: the next block's first, or the final one."""
        if index == len(self.stage_channels) - 1:
            return self.bn1
        return cast(Unit, self.blocks[index + 1].layer[0]).bn1

    def prerelu(self, index: int, stage_output: Tensor) -> Tensor:
        """Apply the next BatchNorm with its running statistics, as a function: its buffers do not move."""
        norm = self.margin_norm(index)
        return running_norm(norm, stage_output)

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        """List the convolutions of block ``index + 1``: conv1, conv2, convShortcut of each unit."""
        return [module for module in self.blocks[index].modules() if isinstance(module, nn.Conv2d)]


def build_wide_resnet(spec: ArchitectureSpec) -> WideResNet:
    """Build ``wrn-depth-widen``.

    Raises:
        RecipeError: ``architecture_unknown`` if depth is not 6n + 4 or a number is out of range.
    """
    match = re.fullmatch(r"wrn-(\d{1,3})-(\d{1,2})", spec.name)
    depth, widen = (int(match[1]), int(match[2])) if match else (0, 0)
    if depth < 10 or (depth - 4) % 6 or depth > 112 or not 1 <= widen <= 16:
        raise RecipeError(
            f"There is no wide ResNet called {spec.name!r}.",
            code="architecture_unknown",
            hint="Write wrn-D-K with D = 6n + 4 from 10 to 112 and K from 1 to 16, such as wrn-16-2.",
        )
    return WideResNet(depth, widen, spec.num_classes)
