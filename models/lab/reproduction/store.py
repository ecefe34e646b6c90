"""Measured cells in a file, appended as soon as they are known."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.lab.json_lines import append_line, read_lines
from models.lab.recipe_digest import document, still_holds
from models.lab.reproduction.cell import Cell, Measured
from models.lab.reproduction.protection import ProtectionCell
from models.results.rate import Rate

_RATES = (
    "clean_accuracy",
    "attack_success",
    "clean_target_rate",
    "teacher_accuracy",
    "teacher_attack_success",
    "clean_teacher_success",
)


class Store:
    """The cells of one table that were measured so far."""

    def __init__(self, path: Path) -> None:
        """Read what is there; a missing file is an empty store."""
        self.path = path
        self.cells: dict[str, Measured] = {}
        for line in read_lines(path):
            try:
                cell = _parse(line)
            except (TypeError, KeyError):
                continue
            self.cells[cell.key] = cell

    def find(self, cell: Cell | ProtectionCell) -> Measured | None:
        """Return what was measured for a cell, unless a default has changed since."""
        found = self.cells.get(cell.key)
        return found if found is not None and still_holds(found.made_of, document(cell.used)) else None

    def add(self, cell: Measured) -> None:
        """Keep a cell, on disk before this returns."""
        append_line(self.path, asdict(cell))
        self.cells[cell.key] = cell


def _parse(document: dict[str, Any]) -> Measured:
    # What came later is missing in older lines; what a cell must have, ``Measured`` asks for.
    present = {name: document[name] for name in _RATES if name in document}
    rates = {name: None if rate is None else Rate(**rate) for name, rate in present.items()}
    return Measured(**{**document, **rates, "decisions": tuple(document["decisions"])})
