"""From an architecture's name to a network."""

from __future__ import annotations

from collections.abc import Callable

from models.architectures.resnet_cifar import build_resnet_cifar
from models.architectures.staged import StagedClassifier
from models.architectures.vgg import build_vgg
from models.architectures.wide_resnet import build_wide_resnet
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec

Builder = Callable[[ArchitectureSpec], StagedClassifier]

BUILDERS: dict[str, Builder] = {
    "resnet-": build_resnet_cifar,
    "vgg-": build_vgg,
    "wrn-": build_wide_resnet,
}


def build(spec: ArchitectureSpec) -> StagedClassifier:
    """Build the network that ``spec`` names, freshly initialized from torch's global random generator.

    Raises:
        RecipeError: ``architecture_unknown`` if no family knows the name.
    """
    for prefix, builder in BUILDERS.items():
        if spec.name.startswith(prefix):
            return builder(spec)
    raise RecipeError(
        f"There is no architecture called {spec.name!r}.",
        code="architecture_unknown",
        hint=f"Names start with one of {', '.join(BUILDERS)}.",
    )
