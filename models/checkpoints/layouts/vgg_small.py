"""The small ELU VGG of the I-BAU checkpoints (``small_VGG16``)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from models.checkpoints.layouts.family import Reading, head_classes
from models.checkpoints.layouts.layout import Layout, LayoutBuilder, Shape
from models.recipes.architecture import ArchitectureSpec

_NAME = "vgg-small-elu"
#: Width and positions in ``features`` of each stage's two convolutions; a BatchNorm follows each.
_STAGES = ((32, (0, 3)), (64, (8, 11)), (128, (16, 19)))


class VggSmallFamily:
    """``vgg-small-elu``; see ``architectures.vgg`` for the network."""

    title = f"small ELU VGG ({_NAME})"

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Read the input size from the classifier: 128 channels times (size / 8) squared."""
        first, last = shapes.get("features.0.weight"), shapes.get("features.19.weight")
        head = shapes.get("classifier.weight", ())
        if first != (32, 3, 3, 3) or last != (128, 128, 3, 3) or len(head) != 2:
            return ()
        input_size = 8 * math.isqrt(head[1] // 128)
        return (Reading(_NAME, head_classes(shapes, ("classifier",)), input_size, {}),)

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table; input sizes are multiples of 8."""
        if spec.name != _NAME or spec.input_size % 8 or not spec.input_size:
            return None
        builder = LayoutBuilder(spec.input_size)
        channels = 3
        for width, positions in _STAGES:
            for position in positions:
                builder.convolution(f"features.{position}", channels, width, kernel=3, bias=True)
                builder.batch_norm(f"features.{position + 1}", width)
                channels = width
            builder.size //= 2
        builder.linear("classifier", channels * builder.size**2, spec.num_classes)
        return builder.finish(spec)
