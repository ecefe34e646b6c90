"""One network of a library that is not shipped, by the table that library's side process made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from models.checkpoints.layouts.family import Reading
from models.checkpoints.layouts.layout import Layout, Shape
from models.checkpoints.layouts.library import LibraryEntry
from models.recipes.architecture import ArchitectureSpec, Normalization


class OutsideFamily:
    """A family of one, which is only ever declared and never inferred.

    Its document comes from ``models.checkpoints.timm_table`` and holds ``name``, ``entry``, ``input_size``,
    ``fixed_size`` and ``normalization``; it was made before the file was opened, of the declared name alone.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Take the document."""
        self.title = str(document["name"])
        self._entry = LibraryEntry.parse(document["entry"])
        self._input_size = int(document["input_size"])
        self._fixed_size = bool(document["fixed_size"])
        mean, std = document["normalization"]["mean"], document["normalization"]["std"]
        self._normalization = Normalization((mean[0], mean[1], mean[2]), (std[0], std[1], std[2]))

    def read(self, shapes: Mapping[str, Shape]) -> tuple[Reading, ...]:
        """Read the number of classes; whether the rest fits, the strict comparison tells."""
        size = self._input_size
        return (
            Reading(
                self.title,
                self._entry.num_classes(shapes),
                size if self._fixed_size else None,
                {},
                size,
                usual_because=", as in timm's own configuration of the network",
            ),
        )

    def lay_out(self, spec: ArchitectureSpec) -> Layout | None:
        """Return the table, for the one name and, where the network depends on it, the one input size."""
        if spec.name != self.title or (self._fixed_size and spec.input_size != self._input_size):
            return None
        return replace(self._entry.lay_out(spec), normalization=self._normalization)
