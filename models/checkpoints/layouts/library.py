"""Classifiers of other libraries by a table, because reading imports no torch.

torchvision's table is shipped beside this file: ``python -m models.checkpoints.library_table`` writes it, and
a test compares it with the installed torchvision. timm's, of one network, comes with the request
(``models.checkpoints.timm_main``).
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from models.checkpoints.layouts.family import Reading
from models.checkpoints.layouts.layout import COUNTER, Layout, Shape
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.library import LIBRARY, RENORMALIZING, SIZE_STEPS

TABLE_PATH = Path(__file__).with_name("torchvision.json.gz")
_USUAL_SIZE = 224
_FIRST = (
    "features.0.weight",
    "features.0.0.weight",
    "features.conv0.weight",
    "layers.0.weight",
    "conv1.0.weight",
    "conv1.conv.weight",
    "stem.0.weight",
    "stem.0.0.weight",
    "conv_proj.weight",
    "Conv2d_1a_3x3.conv.weight",
)
_POSITIONS = "encoder.pos_embedding"
_RENORMALIZED = (
    "torchvision runs its published weights of this network with transform_input, which turns images with "
    "ImageNet's normalization into ones with mean 0.5 and deviation 0.5; no tensor tells whether yours does. "
    "It is built without: if yours was made from the published weights, declare mean and std as 0.5."
)


@dataclass(frozen=True, slots=True)
class LibraryEntry:
    """One network of a table."""

    shapes: dict[str, Shape]
    """What a strict load expects, for 1,000 classes; without the constants."""
    classed: tuple[str, ...]
    """Those of them whose first dimension is the number of classes."""
    buffers: frozenset[str]
    """Those of them that are not learned, beside BatchNorm's."""
    constants: dict[str, Shape]
    """Integers that belong to the network and are never taken from a file."""
    digests: dict[str, str]
    """``constants.integers_sha256`` of each constant."""
    macs: dict[int, tuple[int, int]]
    """Multiply-accumulates by input size: for no class at all, and for each class."""
    auxiliary: dict[str, Shape] = field(default_factory=dict)
    """What only serves training and may be in a file; -1 is any length."""

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> LibraryEntry:
        """Make an entry from its JSON form."""
        return cls(
            shapes=_shapes(document["shapes"]),
            classed=tuple(document["classed"]),
            buffers=frozenset(document["buffers"]),
            constants=_shapes(document["constants"]),
            digests=dict(document["digests"]),
            macs={int(size): (fixed, each) for size, (fixed, each) in document["macs"].items()},
            auxiliary=_shapes(document.get("auxiliary", {})),
        )

    def num_classes(self, shapes: Mapping[str, Shape]) -> int:
        """Read the number of classes from a file's tensors; 0 if the classifier is not among them."""
        found = shapes.get(self.classed[0], ()) if self.classed else ()
        return found[0] if found else 0

    def lay_out(self, spec: ArchitectureSpec, resized: Mapping[str, Shape] | None = None) -> Layout:
        """Return the table for a number of classes; multiply-accumulates only where they were counted.

        Args:
            spec: The network's name, classes and input size.
            resized: Shapes that depend on the input size.
        """
        shapes = self.shapes | dict(resized or {})
        classed = {name: (spec.num_classes, *shapes[name][1:]) for name in self.classed}
        macs = self.macs.get(spec.input_size)
        return Layout(
            spec,
            shapes | classed,
            None if macs is None else macs[0] + spec.num_classes * macs[1],
            unlearned=self.buffers,
            constants=self.constants,
            digests=self.digests,
            auxiliary=self.auxiliary,
        )


def _shapes(document: Mapping[str, list[int]]) -> dict[str, Shape]:
    return {name: tuple(shape) for name, shape in document.items()}


@cache
def library_table() -> dict[str, LibraryEntry]:
    """Return torchvision's table by registry name."""
    document = json.loads(gzip.decompress(TABLE_PATH.read_bytes()))
    return {name: LibraryEntry.parse(entry) for name, entry in document.items()}


class LibraryFamily:
    """``torchvision-NAME``; see ``architectures.torchvision_networks``."""

    title = (
        "torchvision's AlexNet, ConvNeXt, DenseNet, EfficientNet, GoogLeNet, Inception, MaxViT, MNASNet, "
        "MobileNet, RegNet, ShuffleNet, SqueezeNet, Swin, ViT"
    )

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Compare all shapes but those of the last layer with every entry's."""
        if not any(name in shapes for name in _FIRST):
            return ()
        return tuple(
            Reading(name, entry.num_classes(shapes), _told_size(name, shapes), {}, _USUAL_SIZE)
            for name, entry in library_table().items()
            if all(
                key == _POSITIONS or shapes.get(key) == shape
                for key, shape in entry.shapes.items()
                if not key.endswith(COUNTER) and key not in entry.classed
            )
        )

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table; multiply-accumulates are known for multiples of 32 pixels and for 299 only."""
        entry = library_table().get(spec.name) if spec.name in LIBRARY else None
        step = SIZE_STEPS.get(spec.name, 1)
        if entry is None or spec.input_size < min(entry.macs) or spec.input_size % step:
            return None
        resized = {}
        if _POSITIONS in entry.shapes:
            one, _, width = entry.shapes[_POSITIONS]
            resized[_POSITIONS] = (one, 1 + (spec.input_size // step) ** 2, width)
        layout = entry.lay_out(spec, resized)
        return replace(layout, remarks=(_RENORMALIZED,)) if spec.name in RENORMALIZING else layout


def _told_size(name: str, shapes: Mapping[str, Shape]) -> int | None:
    """Read the side of the images from a ViT's position embedding: one vector per patch and one more."""
    positions = shapes.get(_POSITIONS, ())
    if len(positions) != 3:
        return None
    return math.isqrt(max(0, positions[1] - 1)) * SIZE_STEPS[name]
