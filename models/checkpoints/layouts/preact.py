"""Pre-activation ResNets in the layouts of kuangliu, locuslab/fast_adversarial and meliketoy."""

from __future__ import annotations

from collections.abc import Mapping

from models.checkpoints.layouts.family import Reading, block_count, head_classes, rename_head
from models.checkpoints.layouts.layout import Layout, LayoutBuilder, Shape
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.preact import PREACT_RESNETS, Preact, preact

_HEADS = ("linear", "fc")


def _signature(one: Preact) -> tuple[tuple[int, ...], int, str | None]:
    return one.counts, one.stem_channels, one.final_norm


class PreactFamily:
    """``preact-resnet-18`` and ``wrn-D-K-biased``; see ``architectures.preact_resnet`` for the networks."""

    title = "pre-activation ResNet (preact-resnet-18 or 34, with or without -bn; wrn-D-K-biased)"

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Tell by what follows the last unit: nothing, ``bn``, or ``bn1`` and biases.

        The first unit's BatchNorm has as many channels as the stem in all of them, which tells them from
        networks that normalize after the convolution.
        """
        counts = tuple(block_count(shapes, f"layer{stage}.{{}}.conv1.weight") for stage in range(1, 5))
        stem = shapes.get("conv1.weight", ())
        width = shapes.get(f"layer1.{counts[0] - 1}.conv2.weight", (0,))
        if len(stem) != 4 or not counts[0] or len(width) != 4:
            return ()
        name = None
        if "conv1.bias" in shapes:
            name = f"wrn-{6 * counts[0] + 4}-{width[0] // 16}-biased"
        elif "bn1.weight" not in shapes:
            norm = "bn" if "bn.weight" in shapes else None
            found = (counts, stem[0], norm)
            name = next((name for name, one in PREACT_RESNETS.items() if _signature(one) == found), None)
        if name is None or preact(name) is None:
            return ()
        return (Reading(name, head_classes(shapes, _HEADS), None, rename_head(shapes, "linear", _HEADS[1:])),)

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table."""
        blueprint = preact(spec.name)
        if blueprint is None:
            return None
        builder = LayoutBuilder(spec.input_size)
        biased, channels = blueprint.biased, blueprint.stem_channels
        builder.convolution("conv1", 3, channels, kernel=3, bias=biased)
        for index, width in enumerate(blueprint.widths):
            for unit in range(blueprint.counts[index]):
                stride = 2 if index > 0 and unit == 0 else 1
                name, size = f"layer{index + 1}.{unit}", builder.size
                first, second = (1, stride) if biased else (stride, 1)
                builder.batch_norm(f"{name}.bn1", channels)
                builder.convolution(f"{name}.conv1", channels, width, kernel=3, stride=first, bias=biased)
                builder.batch_norm(f"{name}.bn2", width)
                builder.convolution(f"{name}.conv2", width, width, kernel=3, stride=second, bias=biased)
                if stride > 1 or channels != width:
                    builder.size = size
                    builder.convolution(
                        f"{name}.shortcut.0", channels, width, kernel=1, stride=stride, bias=biased
                    )
                channels = width
        if blueprint.final_norm is not None:
            builder.batch_norm(blueprint.final_norm, channels)
        builder.linear("linear", channels, spec.num_classes)
        return builder.finish(spec)
