"""Networks as people write them, in plain torch, each with the layer list that describes it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.layer_lists import INCEPTION, LENET, MODERN, PREACTIVATED, RESIDUAL, SQUEEZE, Json


class LeNet(nn.Module):
    """For digits of 28 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = functional.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        x = torch.tanh(self.fc1(x.flatten(1)))
        return self.fc3(torch.tanh(self.fc2(x)))


class BasicBlock(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.n1 = nn.BatchNorm2d(channels)
        self.c2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.n2 = nn.BatchNorm2d(channels)
        self.skip = None
        if stride > 1:
            self.skip = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.n2(self.c2(torch.relu(self.n1(self.c1(x)))))
        return torch.relu(out + (x if self.skip is None else self.skip(x)))


class Residual(nn.Module):
    """A ResNet of three stages; ``stem`` and ``head`` are names that a StagedClassifier has as well."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.stage = nn.ModuleList([BasicBlock(8, 8, 1), BasicBlock(8, 16, 2), BasicBlock(16, 32, 2)])
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.stage:
            x = block(x)
        return self.head(x.mean(dim=(2, 3)))


class PreactUnit(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.proj = nn.Conv2d(channels_in, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(x))
        return self.conv2(torch.relu(self.bn2(self.conv1(x)))) + self.proj(x)


class Preactivated(nn.Module):
    """A wide ResNet: BatchNorm and ReLU come before, and the stage ends with the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.units = nn.Sequential(PreactUnit(8, 8, 1), PreactUnit(8, 16, 2), PreactUnit(16, 32, 2))
        self.bn = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn(self.units(self.conv(x))))
        return self.fc(x.mean(dim=(2, 3)))


class Inception(nn.Module):
    """One Inception block and one dense one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.b1 = nn.Conv2d(8, 4, 1)
        self.b2 = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 6, (1, 5), padding=(0, 2)))
        self.b3 = nn.Conv2d(8, 4, 3, padding="same", dilation=2)
        self.dense = nn.Sequential(nn.BatchNorm2d(22), nn.ReLU(), nn.Conv2d(22, 10, 3, 1, 1, bias=False))
        self.bn = nn.BatchNorm2d(32)
        self.classifier = nn.Conv2d(32, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.leaky_relu(self.first(x), 0.2), 3, 2, ceil_mode=True)
        pooled = functional.avg_pool2d(x, 3, 1, 1)
        x = torch.cat([self.b1(x), self.b2(x), self.b3(x), pooled], dim=1)
        x = functional.elu(self.bn(torch.cat([x, self.dense(x)], dim=1)), 0.5)
        return functional.adaptive_max_pool2d(self.classifier(x), 1).flatten(1)


class Squeeze(nn.Module):
    """An inverted residual with a depthwise convolution and squeeze-and-excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.expand = nn.Sequential(nn.Conv2d(8, 24, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU6())
        self.depthwise = nn.Sequential(
            nn.Conv2d(24, 24, 3, 1, 1, groups=24, bias=False), nn.BatchNorm2d(24), nn.SiLU()
        )
        self.se1, self.se2 = nn.Linear(24, 6), nn.Linear(6, 24)
        self.project = nn.Sequential(nn.Conv2d(24, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.last = nn.Conv2d(8, 16, 3, groups=2)
        self.drop = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(16)
        self.fc = nn.Linear(16, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.depthwise(self.expand(x))
        gate = torch.sigmoid(self.se2(torch.relu(self.se1(y.mean(dim=(2, 3))))))
        x = x + self.project(y * gate[:, :, None, None])
        x = self.norm(self.last(x).mean(dim=(2, 3)))
        return self.fc(self.drop(x))


class ChannelsLastNorm(nn.LayerNorm):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Modern(nn.Module):
    """Patches, a 7x7 depthwise block with LayerNorm and GELU, GroupNorm; no BatchNorm anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.mix = nn.Conv2d(12, 12, 7, padding=3, groups=12)
        self.ln = ChannelsLastNorm(12, eps=1e-6)
        self.up, self.down = nn.Conv2d(12, 48, 1), nn.Conv2d(48, 12, 1)
        self.gn = nn.GroupNorm(3, 12)
        self.final = nn.LayerNorm(12)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        x = x + self.down(functional.gelu(self.up(self.ln(self.mix(x))), approximate="tanh"))
        x = functional.hardsigmoid(self.gn(x))
        return self.head(self.final(functional.adaptive_avg_pool2d(x, 1).flatten(1)))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Json]] = {
    "lenet": (LeNet, LENET),
    "residual": (Residual, RESIDUAL),
    "preactivated": (Preactivated, PREACTIVATED),
    "inception": (Inception, INCEPTION),
    "squeeze": (Squeeze, SQUEEZE),
    "modern": (Modern, MODERN),
}


def trained(name: str) -> nn.Module:
    """Make a network whose BatchNorms are as after training: nothing is left at 0 or 1."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NETWORKS[name][0]().eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                for values in (module.running_mean, module.bias.data):
                    nn.init.normal_(values, std=0.1)
                for values in (module.running_var, module.weight.data):
                    nn.init.uniform_(values, 0.5, 1.5)
    return network
