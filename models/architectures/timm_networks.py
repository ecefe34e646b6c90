"""timm's classifiers by name: an optional library, asked only for structure.

Nothing is ever downloaded: networks are made with ``pretrained=False``, and the hub client that timm brings
along is told to stay offline before it is imported.

Source: https://github.com/huggingface/pytorch-image-models
"""

from __future__ import annotations

import difflib
import importlib
import os
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from torch import nn

from models.architectures.library import LibraryNetwork
from models.architectures.stage_cut import Stage, find_stages
from models.errors import RecipeError
from models.recipes.architecture import MAX_INPUT_SIZE, ArchitectureSpec, Normalization
from models.recipes.architecture_catalog import validate_name
from models.recipes.blueprints.timm import INSTALL_HINT, PREFIX


@dataclass(frozen=True, slots=True)
class TimmConfiguration:
    """What timm says about a model: how the weights it publishes under that name are used."""

    input_size: int | None
    """Side of the images; None where they are not square, or larger than is accepted here."""
    fixed_size: bool
    """Whether the network is built for one size."""
    normalization: Normalization
    classifier: str
    """Name of the last layer; of the first one where there are several."""


def configuration(name: str) -> TimmConfiguration:
    """Look up a model.

    Args:
        name: timm's.

    Raises:
        RecipeError: ``architecture_unavailable`` if timm is not installed, or has no classifier of three
            channels by that name; ``architecture_unknown`` if it has no model of that name.
    """
    timm = library()
    names: list[str] = timm.list_models()
    if name not in names:
        near = [f"{PREFIX}{one}" for one in difflib.get_close_matches(name, names)]
        raise RecipeError(
            f"timm {timm.__version__} has no model named {name!r}.",
            code="architecture_unknown",
            hint=f"Near to it: {', '.join(near)}." if near else "timm.list_models() has the names.",
        )
    found = timm.get_pretrained_cfg(name, allow_unregistered=True)
    channels, height, width = found.input_size if found is not None else (3, 224, 224)
    heads = found.classifier if found is not None else None
    head = heads if isinstance(heads, str) else next(iter(heads or ()), None)
    if channels != 3 or head is None:
        raise RecipeError(
            f"timm's {name} is no classifier of images with three channels.", code="architecture_unavailable"
        )
    usable = height == width <= MAX_INPUT_SIZE
    return TimmConfiguration(
        height if usable else None,
        bool(found.fixed_input_size),
        Normalization(tuple(found.mean), tuple(found.std)),
        head,
    )


def make(name: str, num_classes: int, input_size: int) -> nn.Module:
    """Build a network with timm's own initialization.

    Args:
        name: timm's.
        num_classes: Number of logits.
        input_size: Side of the images in pixels; networks of a fixed size are built for it.
    """
    known = configuration(name)
    sized = known.fixed_size and input_size != known.input_size
    options: dict[str, Any] = {"img_size": input_size} if sized else {}
    network: nn.Module = library().create_model(name, pretrained=False, num_classes=num_classes, **options)
    return network


@cache
def _stages(name: str, input_size: int) -> tuple[Stage, ...]:
    """Cut a network, after asking whether it takes images of that size.

    Raises:
        RecipeError: As ``build_timm``.
    """
    known = configuration(name)
    cut_size = input_size if known.fixed_size else max(input_size, known.input_size or 0)
    stages = find_stages(partial(make, name, 2, input_size), input_size, cut_size)
    if not stages:
        raise RecipeError(
            f"The stages of timm's {name} cannot be told apart.", code="architecture_unavailable"
        )
    return stages


def build_timm(spec: ArchitectureSpec) -> LibraryNetwork:
    """Build ``timm-NAME``.

    Raises:
        RecipeError: ``architecture_unavailable`` if timm is not installed or its network has a form that is
            not handled here, ``architecture_unknown`` if it has none of that name,
            ``input_size_unsupported`` if that takes no images of that size.
    """
    validate_name(spec.name)
    name = spec.name.removeprefix(PREFIX)
    stages = _stages(name, spec.input_size)
    network = make(name, spec.num_classes, spec.input_size)
    return LibraryNetwork(network, stages, configuration(name).classifier)


def library() -> Any:
    """Import timm.

    Raises:
        RecipeError: ``architecture_unavailable`` if it is not installed.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        return importlib.import_module("timm")
    except ImportError:
        raise RecipeError(
            "Architectures named timm-… need timm, which is not installed here.",
            code="architecture_unavailable",
            hint=INSTALL_HINT,
        ) from None
