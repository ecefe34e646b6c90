"""``proctor inspect``: what is in a checkpoint or a set of images, without keeping or running anything."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from app.api.problem_types import problem_type
from app.commands.hints import in_words_of_inspect
from app.commands.options import (
    DATA_ROLES,
    declarations_of,
    read_layers,
    read_triple,
    settings_of,
    teacher_options,
)
from app.commands.outcome import CommandError, ExitCode, Output, proctor_command
from app.schemas.layers import read_layer_list
from models.checkpoints.child import ChildRejectedError, ChildStoppedError, ask_child
from models.checkpoints.declared import outside_table
from models.checkpoints.described import DescribedTable, layer_facts
from models.checkpoints.limits import Limits
from models.errors import CheckpointRejected, HostDiskFull
from models.recipes.layer_list.vocabulary import LayerList

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
    if role is not None and any(value is not None for value in given.values()):
        raise click.UsageError("--role says that FILE holds images: what is said of a checkpoint is in vain.")
    declarations_of(given)
    layers = given.pop("layers")
    options = {name: value for name, value in given.items() if value is not None}
    for name in ("mean", "std"):
        if name in options:
            options[name] = read_triple(name, options[name])
    try:
        if role is not None:
            inspection = _ask("models.data.inspect_main", file, role=role, limits={})
        else:
            described = None if layers is None else read_layer_list(read_layers(layers))
            inspection = _inspect(file, options, described)
    except (ChildRejectedError, CheckpointRejected) as error:
        ours = problem_type(error.code).status >= 500  # a sandbox that is required and missing
        raise CommandError(
            str(error),
            code=error.code,
            hint=in_words_of_inspect(error.hint),
            exit_code=ExitCode.ERROR if ours else ExitCode.UNSUPPORTED_FILE,
        ) from error
    except ChildStoppedError as error:
        raise CommandError(
            str(error),
            code="parser_limit" if error.limit else "parser_failed",
            exit_code=ExitCode.UNSUPPORTED_FILE,
        ) from error
    except HostDiskFull as error:  # TMPDIR's
        raise CommandError(error.detail, code=error.code, hint=error.hint) from error
    output.emit(inspection, _table(inspection))
    return ExitCode.ACCEPTED


def _inspect(file: Path, options: dict[str, Any], described: LayerList | None) -> dict[str, Any]:
    inspection = _ask(
        "models.checkpoints.inspect_main",
        file,
        options=options,
        table=None if described is None else asdict(DescribedTable.of(described)),
        outside=outside_table(options.get("architecture"), options.get("input_size"), Limits()),
        limits=asdict(Limits().admitting(min(file.stat().st_size, settings_of().max_upload_bytes))),
    )
    if described is not None:
        facts = layer_facts(described)
        inspection |= {**facts, "architecture": asdict(facts["architecture"])}
    return inspection


def _ask(reader: str, file: Path, **asked: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="proctor-inspect-") as folder:
        request = {
            "path": str(file.absolute()),
            "out_path": str(Path(folder) / "canonical.safetensors"),
            "sandbox": settings_of().sandbox,
            **asked,
        }
        return ask_child(reader, request, wall_s=WALL_S)


def _table(inspection: dict[str, Any]) -> Table:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in inspection.items():
        if value in (None, [], {}):
            continue
        if isinstance(value, dict):
            parts = ((key, part) for key, part in value.items() if not isinstance(part, dict | None))
            text = ", ".join(f"{key} {part}" for key, part in parts)
        elif isinstance(value, list):
            text = "\n".join(str(part) for part in value)
        else:
            text = f"{value:,}" if isinstance(value, int) else str(value)
        table.add_row(name.replace("_", " "), escape(text))
    return table
