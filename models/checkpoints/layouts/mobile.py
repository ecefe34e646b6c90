"""MobileNetV2 and ShuffleNetV2 for 32x32 images in the layout of kuangliu/pytorch-cifar."""

from __future__ import annotations

from collections.abc import Mapping

from models.checkpoints.layouts.family import Reading, head_classes, rename_head
from models.checkpoints.layouts.layout import Layout, LayoutBuilder, Shape
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.mobile import (
    MOBILENET_HEAD,
    MOBILENET_STEM,
    MOBILENET_V2,
    SHUFFLENET_COUNTS,
    SHUFFLENET_STEM,
    SHUFFLENETS,
    InvertedUnit,
    mobilenet_stages,
)

_HEADS = ("linear", "fc")


class MobileNetV2Family:
    """``mobilenet-v2``; see ``architectures.mobilenet_v2`` for the network."""

    title = f"MobileNetV2 for 32x32 images ({MOBILENET_V2})"

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Tell by the last unit's expansion, which no other family of the registry has."""
        if shapes.get("layers.16.conv1.weight") != (960, 160, 1, 1):
            return ()
        renamed = rename_head(shapes, "linear", _HEADS[1:])
        return (Reading(MOBILENET_V2, head_classes(shapes, _HEADS), None, renamed),)

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table."""
        if spec.name != MOBILENET_V2:
            return None
        builder = LayoutBuilder(spec.input_size)
        builder.convolution("conv1", 3, MOBILENET_STEM, kernel=3)
        builder.batch_norm("bn1", MOBILENET_STEM)
        units = [unit for stage in mobilenet_stages() for unit in stage]
        for index, unit in enumerate(units):
            _add_inverted(builder, f"layers.{index}", unit)
        builder.convolution("conv2", units[-1].channels_out, MOBILENET_HEAD, kernel=1)
        builder.batch_norm("bn2", MOBILENET_HEAD)
        builder.linear("linear", MOBILENET_HEAD, spec.num_classes)
        return builder.finish(spec)


def _add_inverted(builder: LayoutBuilder, name: str, unit: InvertedUnit) -> None:
    hidden, output = unit.hidden, unit.channels_out
    builder.convolution(f"{name}.conv1", unit.channels_in, hidden, kernel=1)
    builder.batch_norm(f"{name}.bn1", hidden)
    builder.convolution(f"{name}.conv2", hidden, hidden, kernel=3, stride=unit.stride, groups=hidden)
    builder.batch_norm(f"{name}.bn2", hidden)
    builder.convolution(f"{name}.conv3", hidden, output, kernel=1)
    builder.batch_norm(f"{name}.bn3", output)
    if unit.projects_shortcut:
        builder.convolution(f"{name}.shortcut.0", unit.channels_in, output, kernel=1)
        builder.batch_norm(f"{name}.shortcut.1", output)


class ShuffleNetV2Family:
    """``shufflenet-v2-x1`` and others; see ``architectures.shufflenet_v2`` for the network."""

    title = "ShuffleNetV2 for 32x32 images (shufflenet-v2-x0.5, x1, x1.5 or x2)"

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Tell by the fifth convolution of a striding unit, and the width by its filters."""
        half = shapes.get("layer1.0.conv5.weight", (0,))[:1]
        renamed = rename_head(shapes, "linear", _HEADS[1:])
        classes = head_classes(shapes, _HEADS)
        return tuple(
            Reading(name, classes, None, renamed)
            for name, widths in SHUFFLENETS.items()
            if half == (widths[0] // 2,)
        )

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table."""
        widths = SHUFFLENETS.get(spec.name)
        if widths is None:
            return None
        builder = LayoutBuilder(spec.input_size)
        builder.convolution("conv1", 3, SHUFFLENET_STEM, kernel=3)
        builder.batch_norm("bn1", SHUFFLENET_STEM)
        channels = SHUFFLENET_STEM
        for stage, (width, count) in enumerate(zip(widths[:3], SHUFFLENET_COUNTS, strict=True), start=1):
            _add_down(builder, f"layer{stage}.0", channels, width)
            channels, half = width, width // 2
            for unit in range(1, count + 1):
                name = f"layer{stage}.{unit}"
                _add(builder, name, 1, (half, half, 1, 1, 1))
                _add(builder, name, 2, (half, half, 3, 1, half))
                _add(builder, name, 3, (half, half, 1, 1, 1))
        builder.convolution("conv2", channels, widths[3], kernel=1)
        builder.batch_norm("bn2", widths[3])
        builder.linear("linear", widths[3], spec.num_classes)
        return builder.finish(spec)


def _add_down(builder: LayoutBuilder, name: str, channels: int, width: int) -> None:
    half, size = width // 2, builder.size
    _add(builder, name, 1, (channels, channels, 3, 2, channels))
    _add(builder, name, 2, (channels, half, 1, 1, 1))
    builder.size = size
    _add(builder, name, 3, (channels, half, 1, 1, 1))
    _add(builder, name, 4, (half, half, 3, 2, half))
    _add(builder, name, 5, (half, half, 1, 1, 1))


def _add(builder: LayoutBuilder, unit: str, number: int, layer: tuple[int, int, int, int, int]) -> None:
    """Add a convolution (channels in, out, kernel, stride, groups) and its BatchNorm."""
    before, after, kernel, stride, groups = layer
    builder.convolution(f"{unit}.conv{number}", before, after, kernel=kernel, stride=stride, groups=groups)
    builder.batch_norm(f"{unit}.bn{number}", after)
