"""``proctor submit``: a job for a running service."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from app.client import ProctorClient
from app.commands import journey
from app.commands.connection import with_client
from app.commands.options import TEACHER, JobOptions, following_options, job_options
from app.commands.outcome import Output, proctor_command
from app.commands.output_folder import make_usable


@proctor_command("submit")
@click.argument("teacher", metavar="TEACHER", type=TEACHER)
@job_options
@following_options
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="KEY=VALUE",
    help="A mark of your own; `proctor list --label KEY=VALUE` finds the job by it. Repeatable.",
)
@with_client
def command(
    *,
    output: Output,
    client: ProctorClient,
    teacher: Path | str,
    watch: bool,
    folder: Path | None,
    labels: tuple[str, ...],
    **given: Any,
) -> int:
    """Upload TEACHER (a file, or the id of one uploaded before) and queue a job.

    Prints the job's id at once; with --watch or --output it stays until the job is over. Ctrl-C then leaves
    the job running.
    """
    options = JobOptions.of({**given, "labels": read_labels(labels)})
    if folder is not None:
        make_usable(folder)
    job = journey.submit(client, output, teacher, options)
    return journey.hand_over(client, output, job, watch=watch, folder=folder)


def read_labels(labels: Iterable[str]) -> dict[str, str]:
    """Read ``KEY=VALUE``, once for each; the service checks what may stand in either.

    Raises:
        click.UsageError: If one has no key or no equals sign, or a key is given twice.
    """
    found: dict[str, str] = {}
    for label in labels:
        key, equals, value = label.partition("=")
        if not key or not equals:
            raise click.UsageError(f"--label takes KEY=VALUE, not {label!r}.")
        if key in found:
            raise click.UsageError(f"--label {key} is given twice.")
        found[key] = value
    return found
