"""PyramidNets in the layout of dyhan0920/PyramidNet-PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

from models.checkpoints.layouts.family import Reading, block_count, head_classes, rename_head
from models.checkpoints.layouts.layout import Layout, LayoutBuilder, Shape
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.pyramid import EXPANSION, STEM_CHANNELS, pyramid

_HEADS = ("fc", "linear")


class PyramidFamily:
    """``pyramidnet-D-A``; see ``architectures.pyramidnet`` for the network."""

    title = "PyramidNet (pyramidnet-110-270, pyramidnet-200-240 and others)"

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Read depth from the units of the first stage, widening from the last BatchNorm."""
        units = block_count(shapes, "layer1.{}.conv1.weight")
        bottleneck = "layer1.0.conv3.weight" in shapes
        final = shapes.get("bn_final.weight", ())
        if not units or len(final) != 1:
            return ()
        width = final[0] // EXPANSION if bottleneck else final[0]
        name = f"pyramidnet-{units * (9 if bottleneck else 6) + 2}-{width - STEM_CHANNELS}"
        if pyramid(name) is None:
            return ()
        return (Reading(name, head_classes(shapes, _HEADS), None, rename_head(shapes, "fc", _HEADS[1:])),)

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table."""
        blueprint = pyramid(spec.name)
        if blueprint is None:
            return None
        builder = LayoutBuilder(spec.input_size)
        builder.convolution("conv1", 3, STEM_CHANNELS, kernel=3)
        builder.batch_norm("bn1", STEM_CHANNELS)
        channels = STEM_CHANNELS
        for stage, widths in enumerate(blueprint.widths, start=1):
            for unit, width in enumerate(widths):
                stride = 2 if stage > 1 and unit == 0 else 1
                name, output = f"layer{stage}.{unit}", blueprint.output(width)
                builder.batch_norm(f"{name}.bn1", channels)
                if blueprint.bottleneck:
                    layers = [(channels, width, 1, 1), (width, width, 3, stride), (width, output, 1, 1)]
                else:
                    layers = [(channels, width, 3, stride), (width, width, 3, 1)]
                for number, (before, after, kernel, step) in enumerate(layers, start=1):
                    builder.convolution(f"{name}.conv{number}", before, after, kernel=kernel, stride=step)
                    builder.batch_norm(f"{name}.bn{number + 1}", after)
                channels = output
        builder.batch_norm("bn_final", channels)
        builder.linear("fc", channels, spec.num_classes)
        return builder.finish(spec)
