"""The table that follows from a layer list: all that the reader of an untrusted file gets to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from models.checkpoints.layouts.layout import Shape
from models.recipes.layer_list.identity import layers_sha256, spec_of, summary
from models.recipes.layer_list.resolve import resolve
from models.recipes.layer_list.vocabulary import LayerList
from models.results.inspection import CheckpointInspection


@dataclass(frozen=True, slots=True)
class DescribedTable:
    """Names and shapes of a network that a user describes."""

    name: str
    num_classes: int
    input_size: int
    shapes: dict[str, Shape]
    """Parameters and buffers by canonical name, in order of the list."""
    sources: dict[str, str]
    """The file's name of each."""
    macs: int

    @classmethod
    def of(cls, described: LayerList) -> DescribedTable:
        """Make the table of a layer list.

        Raises:
            CheckpointRejected: If the layers do not fit together; see ``resolve``.
        """
        spec, resolved = spec_of(described), resolve(described)
        return cls(
            spec.name,
            spec.num_classes,
            spec.input_size,
            {name: tensor.shape for name, tensor in resolved.tensors.items()},
            {name: tensor.source for name, tensor in resolved.tensors.items()},
            resolved.macs,
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DescribedTable:
        """Make a table again from what ``dataclasses.asdict`` and JSON made of it."""
        shapes = {name: tuple(shape) for name, shape in values["shapes"].items()}
        return cls(**{**values, "shapes": shapes})


def layer_facts(described: LayerList) -> dict[str, Any]:
    """Return the fields of an inspection that tell of a layer list."""
    return {
        "architecture": spec_of(described),
        "layers_sha256": layers_sha256(described),
        "layers_summary": summary(described),
    }


def with_layers(inspection: CheckpointInspection, described: LayerList) -> CheckpointInspection:
    """Put the layer list, which the reader of the file has not seen, into what it found."""
    return replace(inspection, **layer_facts(described))
