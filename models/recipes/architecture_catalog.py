"""Which networks there are, as facts: no torch, so that the service can list them and check names."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from models.errors import RecipeError
from models.recipes.blueprints.library import LIBRARY, PREFIX
from models.recipes.blueprints.mobile import MOBILENET_V2, SHUFFLENETS
from models.recipes.blueprints.plain import PLAIN_CNNS, VGGS
from models.recipes.blueprints.preact import PREACT_RESNETS, preact
from models.recipes.blueprints.pyramid import pyramid
from models.recipes.blueprints.residual import LIBRARY_RESNETS, RESNETS, RESNEXTS
from models.recipes.blueprints.timm import PREFIX as TIMM_PREFIX
from models.recipes.blueprints.timm import is_timm_name

_WIDE_RESNET = re.compile(r"wrn-([1-9][0-9]{1,2})-([1-9][0-9]?)")
_RESNET_DEPTHS = (20, 32, 44, 56, 110)
_RESNET_CIFAR = tuple(f"resnet-{depth}" for depth in _RESNET_DEPTHS)
_VGG = "vgg-small-elu"


@dataclass(frozen=True)
class ArchitectureFamily:
    """Networks that share one module and one way of naming."""

    name: str
    pattern: str
    """How its networks are named, for people."""
    examples: tuple[str, ...]
    description: str
    input_sizes: str
    """Which sides of the square input it takes, in words."""
    members: Container[str] | Callable[[str], bool]
    """All names, or what tells whether a name is one of them."""
    students: bool = True
    """Whether a student may be one of them: others can be read as teachers only."""

    def has(self, name: str) -> bool:
        """Say whether a network of this family has that name."""
        return self.members(name) if callable(self.members) else name in self.members


def wide_resnet_numbers(name: str) -> tuple[int, int] | None:
    """Return depth and width factor of ``wrn-D-K``, or None for any other name."""
    match = _WIDE_RESNET.fullmatch(name)
    if match is None:
        return None
    depth, widen = int(match[1]), int(match[2])
    valid = 10 <= depth <= 112 and (depth - 4) % 6 == 0 and widen <= 16
    return (depth, widen) if valid else None


FAMILIES: tuple[ArchitectureFamily, ...] = (
    ArchitectureFamily(
        name="wide-resnet",
        pattern="wrn-D-K with D = 6n + 4 from 10 to 112 and K from 1 to 16",
        examples=("wrn-10-1", "wrn-10-2", "wrn-16-1", "wrn-16-2", "wrn-28-4", "wrn-40-2"),
        description="Pre-activation wide residual network in the layout of the ABD and ZSKT checkpoints.",
        input_sizes="any",
        members=lambda name: wide_resnet_numbers(name) is not None,
    ),
    ArchitectureFamily(
        name="resnet-cifar",
        pattern="resnet-D with D one of 20, 32, 44, 56, 110",
        examples=_RESNET_CIFAR,
        description="Residual network for CIFAR with parameter-free shortcuts, in akamaster's layout.",
        input_sizes="any",
        members=_RESNET_CIFAR,
    ),
    ArchitectureFamily(
        name="resnet",
        pattern="resnet-D with D one of 18, 34, 50, 101, 152; then -w32 or -w16 where the first stage is "
        "narrower than 64, and -maxpool where a pooling follows the stem",
        examples=("resnet-18", "resnet-34", "resnet-50", "resnet-18-w32", "resnet-18-w16"),
        description="Residual network with a 3x3 stem for small images, in kuangliu's layout; torchvision's "
        "and weiaicunzai's names are read.",
        input_sizes="any",
        members=RESNETS,
    ),
    ArchitectureFamily(
        name="preact-resnet",
        pattern="preact-resnet-D with D 18 or 34; then -w32 or -w16 where the first stage is narrower than "
        "64, -bn where a BatchNorm precedes the pooling",
        examples=("preact-resnet-18", "preact-resnet-18-bn", "preact-resnet-34", "preact-resnet-18-w16"),
        description="Pre-activation residual network for small images, in the layouts of kuangliu and of "
        "locuslab/fast_adversarial.",
        input_sizes="any",
        members=PREACT_RESNETS,
    ),
    ArchitectureFamily(
        name="wide-resnet-biased",
        pattern="wrn-D-K-biased with D and K as above",
        examples=("wrn-16-2-biased", "wrn-28-10-biased"),
        description="Wide residual network with biases, in the layout of meliketoy/wide-resnet.pytorch.",
        input_sizes="any",
        members=lambda name: name.startswith("wrn-") and preact(name) is not None,
    ),
    ArchitectureFamily(
        name="resnext",
        pattern="resnext-29-CxWd with CxW one of 1x64, 2x64, 4x64, 8x64, 16x64, 32x4; then -pointwise for "
        "kuangliu's variant with a 1x1 stem",
        examples=("resnext-29-8x64d", "resnext-29-32x4d-pointwise", "resnext-29-2x64d-pointwise"),
        description="Residual network with grouped convolutions, in the layouts of kuangliu and prlz77.",
        input_sizes="any",
        members=RESNEXTS,
    ),
    ArchitectureFamily(
        name="torchvision-resnet",
        pattern="torchvision-NAME with NAME one of "
        + ", ".join(name.removeprefix("torchvision-") for name in LIBRARY_RESNETS),
        examples=("torchvision-resnet18", "torchvision-resnet50", "torchvision-resnext50_32x4d"),
        description="Residual network with a 7x7 stem for large images, as in torchvision.",
        input_sizes="any; usually 224",
        members=LIBRARY_RESNETS,
    ),
    ArchitectureFamily(
        name="torchvision",
        pattern="torchvision-NAME with NAME one of "
        + ", ".join(name.removeprefix(PREFIX) for name in LIBRARY),
        examples=(
            "torchvision-mobilenet_v3_small",
            "torchvision-efficientnet_b0",
            "torchvision-densenet121",
            "torchvision-convnext_tiny",
            "torchvision-vit_b_16",
        ),
        description="torchvision's own network of that name; feature distillation from it is not possible.",
        input_sizes="any that the network does not shrink to nothing, multiples of the patch for ViT and of "
        "224 for MaxViT; usually 224",
        members=LIBRARY,
    ),
    ArchitectureFamily(
        name="timm",
        pattern=f"{TIMM_PREFIX}NAME with NAME one of timm.list_models(), where timm is installed",
        examples=("timm-resnet18", "timm-mobilenetv3_small_050", "timm-vit_tiny_patch16_224"),
        description="timm's own network of that name, for teachers only and never inferred: declare it. "
        "Feature distillation from it is not possible.",
        input_sizes="what timm's network takes; that of its configuration if none is declared",
        members=is_timm_name,
        students=False,
    ),
    ArchitectureFamily(
        name="pyramidnet",
        pattern="pyramidnet-D-A with D one of 110, 164, 200, 236, 272 and A, the widening, from 1 to 999",
        examples=("pyramidnet-110-84", "pyramidnet-110-270", "pyramidnet-200-240"),
        description="Residual network whose units widen steadily, in dyhan0920's layout.",
        input_sizes="any",
        members=lambda name: pyramid(name) is not None,
    ),
    ArchitectureFamily(
        name="mobilenet-v2",
        pattern=MOBILENET_V2,
        examples=(MOBILENET_V2,),
        description="MobileNetV2 with strides for small images, in kuangliu's layout.",
        input_sizes="any",
        members=(MOBILENET_V2,),
    ),
    ArchitectureFamily(
        name="shufflenet-v2",
        pattern="shufflenet-v2-xW with W one of 0.5, 1, 1.5, 2",
        examples=tuple(SHUFFLENETS),
        description="ShuffleNetV2 with strides for small images, in kuangliu's layout.",
        input_sizes="any",
        members=SHUFFLENETS,
    ),
    ArchitectureFamily(
        name="vgg",
        pattern="vgg-D with D one of 11, 13, 16, 19; then -bn with BatchNorm, -w32 or -w16 where the first "
        "stage is narrower than 64, -fc512 or -fc4096 with two hidden linear layers",
        examples=("vgg-11", "vgg-11-bn", "vgg-13-bn", "vgg-16", "vgg-16-bn", "vgg-19-bn", "vgg-16-bn-fc512"),
        description="VGG for small images, in the layouts of kuangliu, chengyangfu and weiaicunzai.",
        input_sizes="multiples of 32",
        members=VGGS,
    ),
    ArchitectureFamily(
        name="plain-cnn",
        pattern="plain-cnn-wW with W one of 16, 32, 64",
        examples=("plain-cnn-w16", "plain-cnn-w32", "plain-cnn-w64"),
        description="Three pairs of 3x3 convolutions with BatchNorm at W, 2W and 4W channels.",
        input_sizes="any",
        members=PLAIN_CNNS,
    ),
    ArchitectureFamily(
        name="vgg-small-elu",
        pattern=_VGG,
        examples=(_VGG,),
        description="Six convolutions with BatchNorm, ELU and dropout, in the layout of I-BAU's small_VGG16.",
        input_sizes="multiples of 8",
        members=(_VGG,),
    ),
)


def known_architectures() -> tuple[ArchitectureFamily, ...]:
    """Return all families."""
    return FAMILIES


def validate_name(name: str) -> ArchitectureFamily:
    """Return the family that a name belongs to.

    Raises:
        RecipeError: If no network has that name (code ``architecture_unknown``).
    """
    return _family_of(name, FAMILIES)


def validate_student_name(name: str) -> None:
    """Make sure that a student may be of that name.

    Raises:
        RecipeError: If no network has that name (code ``architecture_unknown``), or only teachers have
            (code ``recipe_invalid``).
    """
    offered = tuple(family for family in FAMILIES if family.students)
    if any(family.has(name) for family in FAMILIES if not family.students):
        raise RecipeError(
            f"{name} can be a teacher's architecture, not a student's.",
            code="recipe_invalid",
            hint="Name a student of the registry itself, or none: the default is a smaller network.",
        )
    _family_of(name, offered)


def _family_of(name: str, offered: Sequence[ArchitectureFamily]) -> ArchitectureFamily:
    family = next((family for family in offered if family.has(name)), None)
    if family is None:
        forms = f"Names are {_forms(offered)}; docs/formats.md says which there are."
        raise RecipeError(
            f"There is no architecture named {name!r}.",
            code="architecture_unknown",
            hint=f"{_closest(name, offered)}{forms}",
        )
    return family


def _closest(name: str, offered: Sequence[ArchitectureFamily]) -> str:
    """Name what may have been meant, in a sentence; empty if nothing is near."""
    known = [*(example for family in offered for example in family.examples), *LIBRARY_RESNETS, *LIBRARY]
    close = get_close_matches(name, dict.fromkeys(known), n=3, cutoff=0.7)
    return f"Close to it: {', '.join(close)}. " if close else ""


def _forms(offered: Sequence[ArchitectureFamily]) -> str:
    """Show what names look like, a form a family: all of them are many."""
    return ", ".join(dict.fromkeys(family.pattern.partition(" ")[0] for family in offered))
