"""torchvision's classifiers, cut into stages where the map shrinks.

The network is torchvision's own, built without weights, and its children keep their names, so that a state
dict of torchvision loads as it is. Its activations write to new memory, because stages are read while later
ones run (algorithms.md 8, items 26 and 42).

The body is a row of modules. The first is the stem; a stage is what follows at one size of the map, seen at
224 pixels; where there is no convolution at one size (a lone pooling), the modules join the next stage. A
stage ends after its activation, so it has no margins, and feature distillation from these is refused.

Source: the papers that torchvision names; https://pytorch.org/vision/stable/models.html
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models as torchvision_models

from models.architectures.staged import StagedClassifier, no_margins
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import validate_name
from models.recipes.blueprints.library import PREFIX

_USUAL_SIZE = 224
#: The row of a ShuffleNetV2, which has no container for it.
_SHUFFLENET = ("conv1", "maxpool", "stage2", "stage3", "stage4", "conv5")


class LibraryNetwork(StagedClassifier):
    """A network of torchvision with stages."""

    def __init__(self, name: str, num_classes: int) -> None:
        """Build the network with torchvision's own initialization.

        Args:
            name: torchvision's.
            num_classes: Number of logits K.
        """
        super().__init__()
        library = torchvision_models.get_model(name, weights=None, num_classes=num_classes)
        for child, module in library.named_children():
            self.add_module(child, module)
        for module in self.modules():
            if "inplace" in vars(module):
                vars(module)["inplace"] = False
        self.ends_with_relu = name.startswith("densenet")
        body = next((child for child in ("features", "layers") if hasattr(self, child)), None)
        inner = self.get_submodule(body) if body else None
        row = [f"{body}.{child}" for child, _ in inner.named_children()] if inner else list(_SHUFFLENET)
        self.row_stem, *rest = row
        self.row_stages, self.stage_channels = self._cut(rest)

    def stem(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) through the first module of the body."""
        return cast(Tensor, self.get_submodule(self.row_stem)(x))

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run the modules of one size of the map; returns the last one's output."""
        for module in self._stage_modules(index):
            x = module(x)
        return x

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map the last stage's output to logits (N, K) and the last linear layer's input (N, D)."""
        if self.ends_with_relu:
            x = functional.relu(x)
        pool = getattr(self, "avgpool", None)
        x = pool(x) if pool is not None else x.mean(dim=(2, 3), keepdim=True)
        last = self.fc if hasattr(self, "fc") else self.classifier
        if isinstance(last, nn.Sequential):
            # ConvNeXt normalizes the map and flattens it itself.
            flattens = any(isinstance(module, nn.Flatten) for module in last)
            pooled = last[:-1](x if flattens else x.flatten(1))
            return last[-1](pooled), pooled
        pooled = x.flatten(1)
        return cast(nn.Linear, last)(pooled), pooled

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        """Refuse: a stage ends after its activation.

        Raises:
            RecipeError: ``stages_incompatible``, always.
        """
        raise no_margins(f"stage {index} of this network ends after its activation")

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        """List the convolutions of the stage."""
        return [
            module
            for part in self._stage_modules(index)
            for module in part.modules()
            if isinstance(module, nn.Conv2d)
        ]

    def _stage_modules(self, index: int) -> list[nn.Module]:
        return [self.get_submodule(name) for name in self.row_stages[index]]

    @torch.no_grad()
    def _cut(self, row: list[str]) -> tuple[list[list[str]], tuple[int, ...]]:
        """Group the row by size of the map, on the meta device: nothing is computed."""
        x = torch.zeros(1, 3, _USUAL_SIZE, _USUAL_SIZE, device="meta")
        x = self._shadow(self.row_stem)(x)
        stages: list[list[str]] = [[]]
        channels: list[int] = [0]
        side = x.shape[2]
        for name in row:
            shadow = self._shadow(name)
            x = shadow(x)
            filled = any(_has_convolution(self.get_submodule(one)) for one in stages[-1])
            if x.shape[2] != side and filled:
                stages.append([])
                channels.append(0)
            side = x.shape[2]
            stages[-1].append(name)
            channels[-1] = x.shape[1]
        if not any(_has_convolution(self.get_submodule(one)) for one in stages[-1]):
            stages[-2:] = [stages[-2] + stages[-1]]
            channels[-2:] = channels[-1:]
        return stages, tuple(channels)

    def _shadow(self, name: str) -> nn.Module:
        return copy.deepcopy(self.get_submodule(name)).to("meta").eval()


def _has_convolution(module: nn.Module) -> bool:
    return any(isinstance(one, nn.Conv2d) for one in module.modules())


def build_library(spec: ArchitectureSpec) -> LibraryNetwork:
    """Build ``torchvision-NAME``.

    Raises:
        RecipeError: If there is none of that name (code ``architecture_unknown``).
    """
    validate_name(spec.name)
    return LibraryNetwork(spec.name.removeprefix(PREFIX), spec.num_classes)
