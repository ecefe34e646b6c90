"""Wide ResNets in the layout of the ZSKT, ABD, NAD, ABL and xternalz/WideResNet-pytorch checkpoints.

By renaming also that of szagoruyko/wide-residual-networks, whose parameters are ``group0.block0.conv0``.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.checkpoints.layouts.family import Reading, block_count, head_classes, rename
from models.checkpoints.layouts.layout import Layout, LayoutBuilder, Shape
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import wide_resnet_numbers

_RULES = (
    (r"linear\.(weight|bias)", r"fc.\1"),
    (r"conv0(?:\.weight)?", "conv1.weight"),
    (r"bn\.(.+)", r"bn1.\1"),
    (
        r"group([012])\.block(\d+)\.(bn|conv)([01])(?:\.(\w+))?",
        lambda m: f"block{int(m[1]) + 1}.layer.{m[2]}.{m[3]}{int(m[4]) + 1}.{m[5] or 'weight'}",
    ),
    (
        r"group([012])\.block(\d+)\.convdim(?:\.weight)?",
        lambda m: f"block{int(m[1]) + 1}.layer.{m[2]}.convShortcut.weight",
    ),
)


class WideResNetFamily:
    """``wrn-D-K``; see ``architectures.wide_resnet`` for the network."""

    title = "wide ResNet (wrn-D-K)"

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Read depth from the number of units, width from the last unit of the first block."""
        renamed = rename(shapes, _RULES)
        named = {renamed.get(name, name): shape for name, shape in shapes.items()}
        units = block_count(named, "block1.layer.{}.conv1.weight")
        width = named.get(f"block1.layer.{units - 1}.conv2.weight", (0,))[0]
        if not units or width < 16 or width % 16:
            return ()
        name = f"wrn-{6 * units + 4}-{width // 16}"
        return (Reading(name, head_classes(named, ("fc",)), None, renamed),)

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table."""
        numbers = wide_resnet_numbers(spec.name)
        if numbers is None:
            return None
        depth, widen = numbers
        builder = LayoutBuilder(spec.input_size)
        builder.convolution("conv1", 3, 16, kernel=3)
        channels = 16
        for block, stride in ((1, 1), (2, 2), (3, 2)):
            width = 16 * widen * 2 ** (block - 1)
            for unit in range((depth - 4) // 6):
                _add_unit(builder, f"block{block}.layer.{unit}", channels, width, stride if unit == 0 else 1)
                channels = width
        builder.batch_norm("bn1", channels)
        builder.linear("fc", channels, spec.num_classes)
        return builder.finish(spec)


def _add_unit(builder: LayoutBuilder, name: str, channels_in: int, channels_out: int, stride: int) -> None:
    builder.batch_norm(f"{name}.bn1", channels_in)
    builder.convolution(f"{name}.conv1", channels_in, channels_out, kernel=3, stride=stride)
    builder.batch_norm(f"{name}.bn2", channels_out)
    builder.convolution(f"{name}.conv2", channels_out, channels_out, kernel=3)
    if channels_in != channels_out:
        builder.convolution(f"{name}.convShortcut", channels_in, channels_out, kernel=1)
