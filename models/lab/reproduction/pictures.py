"""The published pictures that a table's triggers are drawn from, which Proctor does not have.

Without its picture a published name would stand for another trigger (``models.triggers.find_trigger``), and
the store would keep that one's numbers under the published name, beside the paper's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from models.errors import RecipeError
from models.lab.reproduction.cell import Cell, PublicTeacher
from models.lab.reproduction.protection import ProtectionCell
from models.triggers import picture_of, stand_in


def check_pictures(cells: Iterable[Cell | ProtectionCell], patterns: Path | None) -> None:
    """Make sure that every trigger is the one its name says.

    Args:
        cells: What is to be measured.
        patterns: Folder of published pictures.

    Raises:
        RecipeError: ``pictures_missing`` if a picture is not there that only its publisher has.
    """
    names = {name for name in _named(cells) if stand_in(name) != name}
    missing = sorted(file for file in _files(names) if not _is_at_hand(file, patterns))
    if missing:
        raise RecipeError(
            f"Pictures of published triggers are not at hand: {', '.join(missing)}.",
            code="pictures_missing",
            hint="Name their folder with --patterns, or choose other rows with --only. "
            "`proctor reproduce digits` needs none.",
        )


def picture_digests(cells: Iterable[Cell | ProtectionCell], patterns: Path | None) -> dict[str, str]:
    """Return the SHA-256 of every picture at hand that a cell's trigger is drawn from, by file name."""
    if patterns is None:
        return {}
    return {
        file: hashlib.sha256((patterns / file).read_bytes()).hexdigest()
        for file in _files(_named(cells))
        if _is_at_hand(file, patterns)
    }


def _named(cells: Iterable[Cell | ProtectionCell]) -> set[str]:
    names = set()
    for teacher in {cell.teacher for cell in cells}:
        if isinstance(teacher, PublicTeacher):
            names |= set() if teacher.trigger is None else {teacher.trigger}
        elif teacher.attack.stamps_named_trigger:
            names.add(teacher.attack.trigger)
    return names


def _files(names: Iterable[str]) -> list[str]:
    return [file for name in names if (file := picture_of(name)) is not None]


def _is_at_hand(file: str, patterns: Path | None) -> bool:
    return patterns is not None and (patterns / file).is_file()
