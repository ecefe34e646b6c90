"""torchvision's classifiers by a table shipped beside this file, because reading imports no torch.

``python -m models.checkpoints.library_table`` writes the table; a test compares it with the installed
torchvision.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.checkpoints.layouts.family import Reading, head_classes
from models.checkpoints.layouts.layout import COUNTER, Layout, Shape
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.library import LIBRARY

TABLE_PATH = Path(__file__).with_name("torchvision.json.gz")
_USUAL_SIZE = 224
_FIRST = (
    "features.0.weight",
    "features.0.0.weight",
    "features.conv0.weight",
    "layers.0.weight",
    "conv1.0.weight",
)


@dataclass(frozen=True, slots=True)
class LibraryEntry:
    """One network of the table."""

    shapes: dict[str, Shape]
    """For 1,000 classes."""
    body_macs: dict[int, int]
    """Multiply-accumulates without the last linear layer, by input size."""


@cache
def library_table() -> dict[str, LibraryEntry]:
    """Return the table by registry name."""
    document = json.loads(gzip.decompress(TABLE_PATH.read_bytes()))
    return {
        name: LibraryEntry(
            {key: tuple(shape) for key, shape in entry["shapes"].items()},
            {int(size): macs for size, macs in entry["body_macs"].items()},
        )
        for name, entry in document.items()
    }


class LibraryFamily:
    """``torchvision-NAME``; see ``architectures.library`` for the networks."""

    title = "torchvision's AlexNet, ConvNeXt, DenseNet, EfficientNet, MNASNet, MobileNet, ShuffleNet"

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Compare all shapes but the last linear layer's with every entry's."""
        if not any(name in shapes for name in _FIRST):
            return ()
        return tuple(
            Reading(name, head_classes(shapes, (LIBRARY[name],)), None, {}, _USUAL_SIZE)
            for name, entry in library_table().items()
            if all(
                shapes.get(key) == shape
                for key, shape in entry.shapes.items()
                if not key.endswith(COUNTER) and not key.startswith(LIBRARY[name])
            )
        )

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table; multiply-accumulates are known for multiples of 32 pixels only."""
        head = LIBRARY.get(spec.name)
        if head is None:
            return None
        entry = library_table()[spec.name]
        features = entry.shapes[f"{head}.weight"][1]
        replaced: dict[str, Shape] = {
            f"{head}.weight": (spec.num_classes, features),
            f"{head}.bias": (spec.num_classes,),
        }
        body = entry.body_macs.get(spec.input_size)
        macs = None if body is None else body + features * spec.num_classes
        return Layout(spec, entry.shapes | replaced, macs)
