"""The folder that a job's files go to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import click

from app.client.transfer import sha256_of
from app.commands.outcome import CommandError
from app.core.artifact_names import is_artifact

#: Where files lie until all of a job's have come.
STAGED = ".fetching"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def output_option(help_text: str, default: Path | None = Path("out")) -> Callable[[Decorated], Decorated]:
    """Return the option ``--output``; without a default, of a command that need not write files."""
    return click.option(
        "--output",
        "folder",
        type=click.Path(file_okay=False, path_type=Path),
        default=default,
        show_default=True,
        help=help_text,
    )


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


def set_aside(folder: Path, digests: Mapping[str, str], replaced: Collection[str]) -> list[Path]:
    """Move files of another job out of the way, so that no report lies beside a student it does not judge.

    Args:
        folder: Where the job's files go.
        digests: SHA-256 of the job's files by name.
        replaced: Those of them that are written next; what has these names is overwritten, not moved.

    Returns:
        Where the moved files are now: in a new folder ``earlier-N`` within ``folder``.
    """
    others = [
        path
        for path in sorted(folder.iterdir())
        if is_artifact(path.name) and path.is_file() and path.name not in replaced
        if path.name not in digests or sha256_of(path) != digests[path.name]
    ]
    if not others:
        return []
    earlier = next(path for number in count(1) if not (path := folder / f"earlier-{number}").exists())
    earlier.mkdir()
    return [path.rename(earlier / path.name) for path in others]


def take_in(folder: Path, names: Iterable[str]) -> list[Path]:
    """Move files from where they were staged into the folder, and return where they are."""
    staged = folder / STAGED
    paths = [(staged / name).replace(folder / name) for name in names]
    shutil.rmtree(staged)
    return paths


def plain_name(name: str) -> str:
    """Refuse a file name that would leave the folder or hide in it.

    Raises:
        CommandError: If it has a path in it, or starts with a dot.
    """
    if not name or name.startswith(".") or "/" in name or "\\" in name or "\0" in name:
        raise CommandError(f"The server offers a file with an unusable name: {name!r}.", code="bad_file_name")
    return name
