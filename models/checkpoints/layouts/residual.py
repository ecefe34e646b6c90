"""ResNets and ResNeXts in the layouts of kuangliu/pytorch-cifar and, by renaming, of others.

Others are torchvision's (``downsample``, ``fc``), weiaicunzai/pytorch-cifar100's (``conv2_x``,
``residual_function``) and prlz77/ResNeXt.pytorch's (``stage_1.stage_1_bottleneck_0.conv_reduce``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from models.checkpoints.layouts.family import USUAL_SIZE, Reading, block_count, head_classes, rename
from models.checkpoints.layouts.layout import Layout, LayoutBuilder, Shape
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.residual import LIBRARY_RESNETS, RESNETS, RESNEXTS, Residual

_PARTS = {"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2", "6": "conv3", "7": "bn3"}
_NAMED_PARTS = {
    "conv_reduce": "conv1",
    "bn_reduce": "bn1",
    "conv_conv": "conv2",
    "bn": "bn2",
    "conv_expand": "conv3",
    "bn_expand": "bn3",
    "shortcut.shortcut_conv": "shortcut.0",
    "shortcut.shortcut_bn": "shortcut.1",
}
_RULES = (
    (r"(layer\d+\.\d+)\.downsample\.([01]\..+)", r"\1.shortcut.\2"),
    (r"(?:fc|classifier)\.(weight|bias)", r"linear.\1"),
    (r"conv1\.0\.weight", "conv1.weight"),
    (r"conv1\.1\.(.+)", r"bn1.\1"),
    (r"conv([2-5])_x\.(\d+)\.shortcut\.(.+)", lambda m: f"layer{int(m[1]) - 1}.{m[2]}.shortcut.{m[3]}"),
    (
        r"conv([2-5])_x\.(\d+)\.residual_function\.([013467])\.(.+)",
        lambda m: f"layer{int(m[1]) - 1}.{m[2]}.{_PARTS[m[3]]}.{m[4]}",
    ),
    (r"conv_1_3x3\.weight", "conv1.weight"),
    (r"bn_1\.(.+)", r"bn1.\1"),
    (
        r"stage_([123])\.stage_\1_bottleneck_(\d+)\.(.+)\.(\w+)",
        lambda m: f"layer{m[1]}.{m[2]}.{_NAMED_PARTS.get(m[3], m[3])}.{m[4]}",
    ),
)
_DOWNSAMPLE = re.compile(r"layer\d+\.\d+\.downsample\.0\.weight")
_STEMS = ("conv1.weight", "conv1.0.weight", "conv_1_3x3.weight")
_SHORTCUT = re.compile(r"^(layer\d+\.\d+)\.shortcut\.([01]\..+)$")
_LINEAR = re.compile(r"^linear\.(weight|bias)$")

#: What distinguishes members: units per stage, stem, first unit's second convolution, kind of unit.
Signature = tuple[tuple[int, ...], Shape, Shape, bool]


def _signature(one: Residual) -> Signature:
    stem = (one.stem_channels, 3, one.stem_kernel, one.stem_kernel)
    second = (one.widths[0], one.widths[0] // one.groups, 3, 3)
    return one.counts, stem, second, one.bottleneck


class ResidualFamily:
    """Members of a table of blueprints; see ``architectures.resnet`` for the networks."""

    def __init__(self, title: str, members: Mapping[str, Residual], *, usual_size: int = USUAL_SIZE) -> None:
        """Take the members by registry name, and the side of the images they are usually given."""
        self.title = title
        self._usual_size = usual_size
        self._members = members
        self._signatures = {name: _signature(member) for name, member in members.items()}
        self._stems = {signature[1] for signature in self._signatures.values()}

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Compare depths, stem and first unit with those of every member.

        Layouts with ``shortcut`` never pool after the stem. Who edits torchvision's ResNet for small
        images keeps ``downsample`` and may or may not keep the pooling, which has no weights: both are given.
        """
        stem = next((tuple(shapes[name]) for name in _STEMS if name in shapes), ())
        if stem not in self._stems:  # before thousands of names are matched with nine patterns
            return ()
        renamed = rename(shapes, _RULES)
        named = {renamed.get(name, name): shape for name, shape in shapes.items()}
        counts = tuple(block_count(named, f"layer{stage}.{{}}.conv1.weight") for stage in range(1, 5))
        found: Signature = (
            counts[: len(counts) - counts.count(0)],
            stem,
            tuple(named.get("layer1.0.conv2.weight", ())),
            "layer1.0.conv3.weight" in named,
        )
        edited = any(_DOWNSAMPLE.fullmatch(name) for name in shapes)
        classes = head_classes(named, ("linear",))
        return tuple(
            Reading(name, classes, None, self._canonical(name, named, shapes), self._usual_size)
            for name, signature in self._signatures.items()
            if signature == found and (edited or not self._members[name].maxpool)
        )

    def _canonical(
        self, member: str, named: Mapping[str, Shape], shapes: Mapping[str, Shape]
    ) -> dict[str, str]:
        """Pair the file's names with the member's, which depend on whether it pools."""
        found = {}
        for name, ours in zip(shapes, named, strict=True):
            theirs = _LINEAR.sub(r"fc.\1", _SHORTCUT.sub(r"\1.downsample.\2", ours))
            canonical = theirs if self._members[member].maxpool else ours
            if canonical != name:
                found[name] = canonical
        return found

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table."""
        member = self._members.get(spec.name)
        if member is None:
            return None
        builder = LayoutBuilder(spec.input_size)
        channels = member.stem_channels
        builder.convolution("conv1", 3, channels, kernel=member.stem_kernel, stride=member.stem_stride)
        builder.batch_norm("bn1", channels)
        if member.maxpool:
            builder.size = -(-builder.size // 2)
        for index, output in enumerate(member.outputs):
            for unit in range(member.counts[index]):
                stride = 2 if index > 0 and unit == 0 else 1
                name, size = f"layer{index + 1}.{unit}", builder.size
                _add_path(builder, name, member, channels, index=index, stride=stride)
                if stride > 1 or channels != output:
                    builder.size = size
                    builder.convolution(
                        f"{name}.{member.shortcut_name}.0", channels, output, kernel=1, stride=stride
                    )
                    builder.batch_norm(f"{name}.{member.shortcut_name}.1", output)
                channels = output
        builder.linear(member.head_name, channels, spec.num_classes)
        return builder.finish(spec)


def _add_path(
    builder: LayoutBuilder, unit: str, member: Residual, channels_in: int, *, index: int, stride: int
) -> None:
    """Add the convolutions of a unit with their BatchNorms, without the shortcut."""
    width, output = member.widths[index], member.outputs[index]
    layers: tuple[tuple[int, int, int, int, int], ...]
    if member.bottleneck:
        layers = (
            (channels_in, width, 1, 1, 1),
            (width, width, 3, stride, member.groups),
            (width, output, 1, 1, 1),
        )
    else:
        layers = ((channels_in, output, 3, stride, 1), (output, output, 3, 1, 1))
    for number, (before, after, kernel, step, groups) in enumerate(layers, start=1):
        builder.convolution(f"{unit}.conv{number}", before, after, kernel=kernel, stride=step, groups=groups)
        builder.batch_norm(f"{unit}.bn{number}", after)


RESNET_FAMILY = ResidualFamily("ResNet for small images (resnet-18, 34, 50, 101 or 152)", RESNETS)
LIBRARY_RESNET_FAMILY = ResidualFamily(
    "torchvision's ResNet (torchvision-resnet18 and others)", LIBRARY_RESNETS, usual_size=224
)
RESNEXT_FAMILY = ResidualFamily("ResNeXt-29 (resnext-29-8x64d and others)", RESNEXTS)
