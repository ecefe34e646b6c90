"""torchvision's classifiers by their own names.

Source: the papers that torchvision names; https://pytorch.org/vision/stable/models.html
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from torch import nn
from torchvision import models as torchvision_models

from models.architectures.library import LibraryNetwork
from models.architectures.stage_cut import Stage, find_stages
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import validate_name
from models.recipes.blueprints.library import LIBRARY, PREFIX, SIZE_STEPS

#: Where stages are looked for in networks that take any size.
_USUAL_SIZE = 224


def make(name: str, num_classes: int, input_size: int, *, auxiliary: bool = False) -> nn.Module:
    """Build a network with torchvision's own initialization.

    GoogLeNet and Inception come without ``transform_input``, which is a second normalization.

    Args:
        name: torchvision's.
        num_classes: Number of logits.
        input_size: Side of the images in pixels; only ViT and MaxViT depend on it.
        auxiliary: Keep the classifiers of GoogLeNet and Inception that only serve training.
    """
    options: dict[str, Any] = {"weights": None, "num_classes": num_classes}
    if name in {"googlenet", "inception_v3"}:
        options |= {"aux_logits": auxiliary, "init_weights": True}
    elif name.startswith("vit_"):
        options["image_size"] = input_size
    elif name.startswith("maxvit_"):
        options["input_size"] = (input_size, input_size)
    network: nn.Module = torchvision_models.get_model(name, **options)
    return network


@cache
def _stages(name: str, input_size: int) -> tuple[Stage, ...]:
    """Cut a network, after asking whether it takes images of that size.

    Raises:
        RecipeError: ``input_size_unsupported`` if it does not.
    """
    fixed = f"{PREFIX}{name}" in SIZE_STEPS
    cut_size = input_size if fixed else max(input_size, _USUAL_SIZE)
    return find_stages(partial(make, name, 2, input_size), input_size, cut_size)


def build_torchvision(spec: ArchitectureSpec) -> LibraryNetwork:
    """Build ``torchvision-NAME``.

    Raises:
        RecipeError: ``architecture_unknown`` if there is none of that name, ``input_size_unsupported`` if it
            takes no images of that size.
    """
    validate_name(spec.name)
    name = spec.name.removeprefix(PREFIX)
    stages = _stages(name, spec.input_size)
    return LibraryNetwork(make(name, spec.num_classes, spec.input_size), stages, LIBRARY[spec.name])
