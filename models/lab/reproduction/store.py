"""Measured cells in a file: one JSON document per line, appended as soon as it is known.

A run that is killed while it writes leaves a torn last line; it is ignored and its cell is measured again.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.lab.reproduction.cell import Cell, Measured, document, still_holds
from models.lab.reproduction.protection import ProtectionCell
from models.results.rate import Rate

_RATES = (
    "clean_accuracy",
    "attack_success",
    "clean_target_rate",
    "teacher_accuracy",
    "teacher_attack_success",
)


class Store:
    """The cells of one table that were measured so far."""

    def __init__(self, path: Path) -> None:
        """Read what is there; a missing file is an empty store."""
        self.path = path
        self.cells: dict[str, Measured] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    cell = _parse(json.loads(line))
                except (ValueError, TypeError, KeyError):
                    continue
                self.cells[cell.key] = cell

    def find(self, cell: Cell | ProtectionCell) -> Measured | None:
        """Return what was measured for a cell, unless a default has changed since."""
        found = self.cells.get(cell.key)
        return found if found is not None and still_holds(found.made_of, document(cell.used)) else None

    def add(self, cell: Measured) -> None:
        """Keep a cell, on disk before this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(asdict(cell), sort_keys=True)
        with self.path.open("a+b") as file:
            if file.tell() and not _ends_line(file):
                file.write(b"\n")
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.cells[cell.key] = cell


def _ends_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")


def _parse(document: dict[str, Any]) -> Measured:
    rates = {name: None if document[name] is None else Rate(**document[name]) for name in _RATES}
    return Measured(**{**document, **rates, "decisions": tuple(document["decisions"])})
