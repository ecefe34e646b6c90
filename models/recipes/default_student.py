"""Which network learns when the recipe names none."""

from __future__ import annotations

from collections.abc import Callable

from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import validate_name, wide_resnet_numbers
from models.recipes.blueprints.plain import PLAIN_CNNS, VGGS
from models.recipes.blueprints.preact import PREACT_RESNETS
from models.recipes.blueprints.residual import RESNETS
from models.recipes.layer_list.resolve import resolve
from models.recipes.layer_list.vocabulary import LayerList

#: Below the smallest member of a family stands the network with fewest parameters of those worth training.
_SMALLEST = "wrn-16-1"
_STEPS = {
    "torchvision-shufflenet_v2_x0_5": _SMALLEST,
    "resnet-20": _SMALLEST,
    "shufflenet-v2-x0.5": _SMALLEST,
    "torchvision-resnet18": _SMALLEST,
    "torchvision-squeezenet1_0": _SMALLEST,
    "torchvision-squeezenet1_1": _SMALLEST,
}
#: Students of networks that users describe, with parameters for ten classes.
_FOUR_STAGES = (("resnet-18-w32", 2_797_610), ("resnet-18-w16", 701_466))
_THREE_STAGES = (("wrn-40-2", 2_243_546), ("wrn-16-2", 691_674), ("wrn-16-1", 175_066), ("wrn-10-1", 77_850))
_DEFAULTS = {
    "resnet-cifar": "resnet-20",
    "mobilenet-v2": "resnet-18-w16",
    "shufflenet-v2": "shufflenet-v2-x0.5",
    "pyramidnet": "wrn-16-1",
    "torchvision": "torchvision-shufflenet_v2_x0_5",
    "timm": "torchvision-shufflenet_v2_x0_5",
    "torchvision-resnet": "torchvision-resnet18",
    "resnext": "wrn-16-2",
    "vgg-small-elu": _SMALLEST,
}


def smaller(spec: ArchitectureSpec) -> str:
    """Name the default student of a teacher: always fewer parameters.

    Half the width and at most 16 layers of a wide ResNet; the shallowest of the CIFAR ResNets; half the width
    of a ResNet-18, whose four stages match those of deeper ones; ``wrn-16-1`` (175,000 parameters) below the
    smallest of a family. Below a network that the user describes, one with at most half its parameters.

    Raises:
        RecipeError: If the teacher is the smallest network there is (code ``student_not_smaller``) or
            unknown (code ``architecture_unknown``).
    """
    if spec.layers is not None:
        return _below(spec.layers)
    family = validate_name(spec.name)
    wide = wide_resnet_numbers(spec.name.removesuffix("-biased"))
    if family.name in _HALVED:
        return _HALVED[family.name](spec.name) or _SMALLEST
    if wide is None:
        return _STEPS.get(spec.name) or _DEFAULTS[family.name]
    depth, widen = wide
    if widen > 1:
        return f"wrn-{min(depth, 16)}-{widen // 2}"
    if depth > 10:
        return f"wrn-{16 if depth > 16 else 10}-1"
    raise _none_smaller(spec.name)


def _below(described: LayerList) -> str:
    """Take the largest of a few networks that has at most half the parameters, of four stages for four."""
    resolved = resolve(described)
    ladder = _FOUR_STAGES + _THREE_STAGES if len(resolved.cut.shapes) == 4 else _THREE_STAGES
    name = next((name for name, parameters in ladder if 2 * parameters <= resolved.parameters), None)
    if name is None:
        raise _none_smaller(f"half of the {resolved.parameters:,} parameters described")
    return name


def _none_smaller(name: str) -> RecipeError:
    return RecipeError(
        f"There is no network smaller than {name}.",
        code="student_not_smaller",
        hint="Name the student's architecture in the recipe.",
    )


def _half_resnet(name: str) -> str | None:
    """Keep stem and stages, whose sizes feature distillation compares, as long as there is a width below."""
    depth, width = int(name.split("-")[1]), RESNETS[name].stem_channels
    pooling = "-maxpool" if RESNETS[name].maxpool else ""
    if width > 16:
        return f"resnet-18-w{width // 2}{pooling}"
    return f"resnet-18-w16{pooling}" if depth > 18 else None


def _half_preact(name: str) -> str | None:
    depth, width = int(name.split("-")[2]), PREACT_RESNETS[name].stem_channels
    norm = "-bn" if PREACT_RESNETS[name].final_norm else ""
    if width > 16:
        return f"preact-resnet-18-w{width // 2}{norm}"
    return f"preact-resnet-18-w16{norm}" if depth > 18 else None


def _half_vgg(name: str) -> str | None:
    """Take BatchNorm and a single linear layer, whatever the teacher has."""
    width = VGGS[name].widths[0]
    return f"vgg-11-bn-w{width // 2}" if width > 16 else None


def _half_plain(name: str) -> str:
    width = PLAIN_CNNS[name].widths[0]
    if width == 16:  # 73,000 parameters: wrn-10-1 has 78,000
        raise _none_smaller(name)
    return f"plain-cnn-w{width // 2}"


_HALVED: dict[str, Callable[[str], str | None]] = {
    "resnet": _half_resnet,
    "preact-resnet": _half_preact,
    "vgg": _half_vgg,
    "plain-cnn": _half_plain,
}
