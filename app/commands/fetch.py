"""``proctor fetch``: download a job's files."""

from __future__ import annotations

from pathlib import Path

import click

from app.client import ProctorClient
from app.commands import journey
from app.commands.connection import with_client
from app.commands.outcome import ExitCode, Output, proctor_command
from app.commands.output_folder import output_option


@proctor_command("fetch")
@click.argument("job_id", metavar="JOB")
@output_option("Where they go.")
@click.option("--only", metavar="NAME", help="Only the file of this name, such as report.html.")
@with_client
def command(*, output: Output, client: ProctorClient, job_id: str, folder: Path, only: str | None) -> int:
    """Download JOB's student, report and other files; broken downloads go on where they stopped."""
    paths = [str(path) for path in journey.fetch(client, output, job_id, folder, only)]
    output.emit({"files": paths}, "\n".join(paths))
    return ExitCode.ACCEPTED
