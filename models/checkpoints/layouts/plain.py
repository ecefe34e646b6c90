"""VGGs for 32x32 images and the plain CNN, in the ``features.N`` layouts."""

from __future__ import annotations

import math
from collections.abc import Mapping

from models.checkpoints.layouts.family import Reading, head_classes
from models.checkpoints.layouts.layout import Layout, LayoutBuilder, Shape
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.plain import PLAIN_CNNS, VGGS, Plain


def _last_linear(member: Plain) -> str:
    return f"classifier.{member.hidden_positions[2]}" if member.hidden else "classifier"


def _convolutions(member: Plain) -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    channels = 3
    for width, positions in zip(member.widths, member.positions(), strict=True):
        for position in positions:
            found[f"features.{position}.weight"] = (width, channels, 3, 3)
            channels = width
    return found


class PlainFamily:
    """Members of a table of blueprints; see ``architectures.plain`` for the networks."""

    def __init__(self, title: str, members: Mapping[str, Plain]) -> None:
        """Take the members by registry name."""
        self.title = title
        self._members = members
        self._convolutions = {name: _convolutions(member) for name, member in members.items()}

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Compare all convolutions; the first linear layer tells the input size, its position the head."""
        given = {
            name: tuple(shape)
            for name, shape in shapes.items()
            if name.startswith("features.") and len(shape) == 4
        }
        return tuple(
            Reading(name, head_classes(shapes, (_last_linear(member),)), self._input_size(member, shapes), {})
            for name, member in self._members.items()
            if self._convolutions[name] == given and self._has_head(member, shapes)
        )

    @staticmethod
    def _has_head(member: Plain, shapes: Mapping[str, Shape]) -> bool:
        if not member.hidden:
            return "classifier.6.weight" not in shapes
        return shapes.get(f"classifier.{member.hidden_positions[1]}.weight") == (member.hidden,) * 2

    @staticmethod
    def _input_size(member: Plain, shapes: Mapping[str, Shape]) -> int | None:
        if member.global_mean:
            return None
        name = f"classifier.{member.hidden_positions[0]}" if member.hidden else "classifier"
        shape = shapes.get(f"{name}.weight", ())
        side = math.isqrt(shape[1] // member.widths[-1]) if len(shape) == 2 else 1
        return side * member.divisor

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table; input sizes are multiples of ``divisor``."""
        member = self._members.get(spec.name)
        if member is None or spec.input_size % member.divisor or not spec.input_size:
            return None
        builder = LayoutBuilder(spec.input_size)
        channels = 3
        for width, positions in zip(member.widths, member.positions(), strict=True):
            for position in positions:
                builder.convolution(f"features.{position}", channels, width, kernel=3, bias=True)
                if member.norm:
                    builder.batch_norm(f"features.{position + 1}", width)
                channels = width
            builder.size //= 2
        features = channels if member.global_mean else channels * builder.size**2
        if member.hidden:
            first, second, _ = member.hidden_positions
            builder.linear(f"classifier.{first}", features, member.hidden)
            builder.linear(f"classifier.{second}", member.hidden, member.hidden)
            features = member.hidden
        builder.linear(_last_linear(member), features, spec.num_classes)
        return builder.finish(spec)


VGG_FAMILY = PlainFamily("VGG for 32x32 images (vgg-11, 13, 16 or 19, with or without -bn)", VGGS)
PLAIN_CNN_FAMILY = PlainFamily("plain CNN (plain-cnn-w16, w32 or w64)", PLAIN_CNNS)
