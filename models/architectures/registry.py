"""From an architecture's name or description to a network."""

from __future__ import annotations

from collections.abc import Callable

from models.architectures.described import DescribedNetwork
from models.architectures.mobilenet_v2 import build_mobilenet_v2
from models.architectures.plain import build_plain
from models.architectures.preact_resnet import build_preact_resnet
from models.architectures.pyramidnet import build_pyramidnet
from models.architectures.resnet import build_resnet
from models.architectures.resnet_cifar import build_resnet_cifar
from models.architectures.shufflenet_v2 import build_shufflenet_v2
from models.architectures.staged import StagedClassifier
from models.architectures.timm_networks import build_timm
from models.architectures.torchvision_networks import build_torchvision
from models.architectures.vgg import build_vgg
from models.architectures.wide_resnet import build_wide_resnet
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import validate_name

Builder = Callable[[ArchitectureSpec], StagedClassifier]

#: By the family's name in the catalog.
BUILDERS: dict[str, Builder] = {
    "wide-resnet": build_wide_resnet,
    "resnet-cifar": build_resnet_cifar,
    "resnet": build_resnet,
    "resnext": build_resnet,
    "torchvision-resnet": build_resnet,
    "torchvision": build_torchvision,
    "timm": build_timm,
    "preact-resnet": build_preact_resnet,
    "wide-resnet-biased": build_preact_resnet,
    "vgg": build_plain,
    "plain-cnn": build_plain,
    "mobilenet-v2": build_mobilenet_v2,
    "shufflenet-v2": build_shufflenet_v2,
    "pyramidnet": build_pyramidnet,
    "vgg-small-elu": build_vgg,
}


def build(spec: ArchitectureSpec) -> StagedClassifier:
    """Build the network that ``spec`` names, freshly initialized from torch's global random generator.

    Raises:
        RecipeError: ``architecture_unknown`` if no family knows the name, ``input_size_unsupported`` if the
            network cannot take images of that size.
        CheckpointRejected: If the layers of a list do not fit together; see ``layer_list.resolve``.
    """
    if spec.layers is not None:
        return DescribedNetwork(spec.layers)
    return BUILDERS[validate_name(spec.name).name](spec)
