"""``proctor inspect``: what is in a checkpoint or a set of images, without keeping or running anything."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from app.commands.options import DATA_ROLES, settings_of, teacher_options
from app.commands.outcome import CommandError, ExitCode, Output, proctor_command
from models.checkpoints.child import ChildRejectedError, ChildStoppedError, ask_child
from models.checkpoints.declared import outside_table
from models.checkpoints.limits import Limits

#: The reader of checkpoints gives up by itself after 10 s of processor time, that of images after 120 s.
WALL_S = 180.0


@proctor_command("inspect")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--role",
    type=click.Choice(list(DATA_ROLES.values())),
    help="FILE holds images, to be used for this; without it, it is a checkpoint.",
)
@teacher_options
def command(*, output: Output, file: Path, role: str | None, **given: Any) -> int:
    """Read FILE as an upload would be read: by our own reader in a bounded process.

    Nothing in the file is executed, and nothing is kept.
    """
    options = {name: value for name, value in given.items() if value is not None}
    for name in ("mean", "std"):
        if name in options:
            options[name] = _triple(name, options[name])
    with tempfile.TemporaryDirectory(prefix="proctor-inspect-") as folder:
        request: dict[str, Any] = {
            "path": str(file.absolute()),
            "out_path": str(Path(folder) / "canonical.safetensors"),
            "limits": {},
            "sandbox": settings_of().sandbox,
            **({"options": options} if role is None else {"role": role}),
        }
        reader = "models.checkpoints.inspect_main" if role is None else "models.data.inspect_main"
        try:
            if role is None:
                request["outside"] = outside_table(
                    options.get("architecture"), options.get("input_size"), Limits()
                )
            inspection = ask_child(reader, request, wall_s=WALL_S)
        except ChildRejectedError as error:
            raise CommandError(
                str(error), code=error.code, hint=error.hint, exit_code=ExitCode.UNSUPPORTED_FILE
            ) from error
        except ChildStoppedError as error:
            raise CommandError(
                str(error),
                code="parser_limit" if error.limit else "parser_failed",
                exit_code=ExitCode.UNSUPPORTED_FILE,
            ) from error
    output.emit(inspection, _table(inspection))
    return ExitCode.ACCEPTED


def _triple(name: str, text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3:
        raise click.UsageError(f"--{name} takes three numbers, such as 0.49,0.48,0.45.")
    return numbers


def _table(inspection: dict[str, Any]) -> Table:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in inspection.items():
        if value in (None, [], {}):
            continue
        if isinstance(value, dict):
            text = ", ".join(f"{key} {part}" for key, part in value.items())
        elif isinstance(value, list):
            text = "\n".join(str(part) for part in value)
        else:
            text = f"{value:,}" if isinstance(value, int) else str(value)
        table.add_row(name.replace("_", " "), escape(text))
    return table
