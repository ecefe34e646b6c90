"""The folder that a job's files go to."""

from __future__ import annotations

import tempfile
from pathlib import Path

from app.commands.outcome import CommandError


def make_usable(folder: Path) -> None:
    """Make a folder if need be, and write into it once: better known before a job of hours than after it.

    Raises:
        CommandError: ``output_unusable``, if it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as error:
        raise CommandError(
            f"No file can be written to {folder}: {error.strerror or error}.",
            code="output_unusable",
            hint="Name another folder with --output.",
        ) from error


def plain_name(name: str) -> str:
    """Refuse a file name that would leave the folder or hide in it.

    Raises:
        CommandError: If it has a path in it, or starts with a dot.
    """
    if not name or name.startswith(".") or "/" in name or "\\" in name or "\0" in name:
        raise CommandError(f"The server offers a file with an unusable name: {name!r}.", code="bad_file_name")
    return name
