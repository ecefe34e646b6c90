"""Pre-activation ResNet-18 and -34 for small images, and the wide ResNet with biases.

A unit is BN-ReLU-conv-BN-ReLU-conv; its shortcut is a 1x1 convolution without BatchNorm where width or size
change. Parameter names are those of kuangliu/pytorch-cifar (``preact-resnet-D``), locuslab/fast_adversarial
(``preact-resnet-D-bn``, with a BatchNorm before the pooling) and of meliketoy/wide-resnet.pytorch
(``wrn-D-K-biased``).

Source: He et al., ECCV 2016; Zagoruyko and Komodakis, BMVC 2016.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from models.architectures.staged import ChainedClassifier, running_norm
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.preact import Preact, preact


class PreactUnit(nn.Module):
    """BN-ReLU-conv-BN-ReLU-conv with a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, biased: bool) -> None:
        """Make the unit; ``biased`` is explained in ``blueprints.preact``."""
        super().__init__()
        first, second = (1, stride) if biased else (stride, 1)
        self.shortcut_from_activated = not biased
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, first, 1, bias=biased)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, second, 1, bias=biased)
        self.shortcut = nn.Sequential()
        if stride > 1 or channels_in != channels_out:
            self.shortcut.append(nn.Conv2d(channels_in, channels_out, 1, stride, bias=biased))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        activated = functional.relu(self.bn1(x))
        changes = len(self.shortcut) > 0
        shortcut = self.shortcut(activated if changes and self.shortcut_from_activated else x)
        out = self.conv2(functional.relu(self.bn2(self.conv1(activated))))
        return cast(Tensor, out + shortcut)


class PreactResNet(ChainedClassifier):
    """A pre-activation residual network for any input size."""

    def __init__(self, blueprint: Preact, num_classes: int) -> None:
        """Build and initialize the network.

        Args:
            blueprint: Depths and widths.
            num_classes: Number of logits K.
        """
        super().__init__()
        self.stage_channels = blueprint.widths
        self.final_norm = blueprint.final_norm
        channels = blueprint.stem_channels
        self.conv1 = nn.Conv2d(3, channels, 3, 1, 1, bias=blueprint.biased)
        for index, (count, width) in enumerate(zip(blueprint.counts, blueprint.widths, strict=True)):
            units = []
            for unit in range(count):
                stride = 2 if index > 0 and unit == 0 else 1
                units.append(PreactUnit(channels, width, stride, blueprint.biased))
                channels = width
            self.add_module(f"layer{index + 1}", nn.Sequential(*units))
        if blueprint.final_norm is not None:
            self.add_module(blueprint.final_norm, nn.BatchNorm2d(channels))
        self.linear = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def layer(self, index: int) -> nn.Sequential:
        """Return the units of stage ``index``."""
        return cast(nn.Sequential, self.get_submodule(f"layer{index + 1}"))

    def stem(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to (N, C, H, W)."""
        return cast(Tensor, self.conv1(x))

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run layer ``index + 1``; returns its raw output, before any BatchNorm."""
        return cast(Tensor, self.layer(index)(x))

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to logits (N, K) and pooled features (N, C)."""
        if self.final_norm is not None:
            x = functional.relu(self.get_submodule(self.final_norm)(x))
        pooled = x.mean(dim=(2, 3))
        return self.linear(pooled), pooled

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        """Return the BatchNorm that precedes the next ReLU.

        Without a final BatchNorm the last stage has none behind it, and is pooled without a ReLU; the second
        BatchNorm of its last unit then gives the scale of the margins.
        """
        if index < len(self.stage_channels) - 1:
            return cast(PreactUnit, self.layer(index + 1)[0]).bn1
        if self.final_norm is not None:
            return cast(nn.BatchNorm2d, self.get_submodule(self.final_norm))
        return cast(PreactUnit, self.layer(index)[-1]).bn2

    def prerelu(self, index: int, stage_output: Tensor) -> Tensor:
        """Apply the next BatchNorm with its running statistics, as a function: its buffers do not move."""
        if index == len(self.stage_channels) - 1 and self.final_norm is None:
            return stage_output
        norm = self.margin_norm(index)
        return running_norm(norm, stage_output)

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        """List the convolutions of layer ``index + 1``, those of the shortcuts included."""
        return [module for module in self.layer(index).modules() if isinstance(module, nn.Conv2d)]


def build_preact_resnet(spec: ArchitectureSpec) -> PreactResNet:
    """Build ``preact-resnet-18``, ``preact-resnet-34``, either with ``-bn``, or ``wrn-D-K-biased``.

    Raises:
        RecipeError: If there is none of that name (code ``architecture_unknown``).
    """
    blueprint = preact(spec.name)
    if blueprint is None:
        raise RecipeError(
            f"There is no pre-activation ResNet called {spec.name!r}.",
            code="architecture_unknown",
            hint="Write preact-resnet-18, preact-resnet-18-bn or wrn-28-10-biased.",
        )
    return PreactResNet(blueprint, spec.num_classes)
