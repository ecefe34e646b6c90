"""CIFAR ResNets with parameter-free shortcuts, in the layout of akamaster/pytorch_resnet_cifar10."""

from __future__ import annotations

from collections.abc import Mapping

from models.checkpoints.layouts.family import Reading, block_count, head_classes, rename_head
from models.checkpoints.layouts.layout import Layout, LayoutBuilder, Shape
from models.recipes.architecture import ArchitectureSpec

_HEADS = ("linear", "fc")
_WIDTHS = (16, 32, 64)
#: Depths 6n + 2 of the original paper that the registry builds.
_UNITS = {f"resnet-{depth}": (depth - 2) // 6 for depth in (20, 32, 44, 56, 110)}


class ResNetCifarFamily:
    """``resnet-20`` to ``resnet-110``; see ``architectures.resnet_cifar`` for the network."""

    title = "CIFAR ResNet (resnet-20, 32, 44, 56 or 110)"

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Read depth from the number of blocks in the first stage; four stages are another family."""
        units = block_count(shapes, "layer1.{}.conv1.weight")
        stem = shapes.get("conv1.weight")
        if not units or stem != (16, 3, 3, 3) or "layer4.0.conv1.weight" in shapes:
            return ()
        name = f"resnet-{6 * units + 2}"
        if name not in _UNITS:
            return ()
        return (Reading(name, head_classes(shapes, _HEADS), None, rename_head(shapes, "linear", _HEADS[1:])),)

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table."""
        units = _UNITS.get(spec.name)
        if units is None:
            return None
        builder = LayoutBuilder(spec.input_size)
        builder.convolution("conv1", 3, 16, kernel=3)
        builder.batch_norm("bn1", 16)
        channels = 16
        for stage, width in enumerate(_WIDTHS, start=1):
            for unit in range(units):
                stride = 2 if unit == 0 and stage > 1 else 1
                builder.convolution(f"layer{stage}.{unit}.conv1", channels, width, kernel=3, stride=stride)
                builder.batch_norm(f"layer{stage}.{unit}.bn1", width)
                builder.convolution(f"layer{stage}.{unit}.conv2", width, width, kernel=3)
                builder.batch_norm(f"layer{stage}.{unit}.bn2", width)
                channels = width
        builder.linear("linear", channels, spec.num_classes)
        return builder.finish(spec)
