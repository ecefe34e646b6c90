"""``proctor submit``: a job for a running service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from app.client import ProctorClient
from app.commands import journey
from app.commands.connection import with_client
from app.commands.options import TEACHER, JobOptions, job_options
from app.commands.outcome import ExitCode, Output, proctor_command


@proctor_command("submit")
@click.argument("teacher", metavar="TEACHER", type=TEACHER)
@job_options
@click.option("--watch", is_flag=True, help="Follow it until it is over.")
@click.option(
    "--output", "folder", type=click.Path(path_type=Path), help="Follow it, then download its files here."
)
@with_client
def command(
    *,
    output: Output,
    client: ProctorClient,
    teacher: str,
    watch: bool,
    folder: Path | None,
    **given: Any,
) -> int:
    """Upload TEACHER (a file, or the id of one uploaded before) and queue a job.

    Prints the job's id at once; with --watch or --output it stays until the job is over. Ctrl-C then leaves
    the job running.
    """
    job = journey.submit(client, output, teacher, JobOptions.of(given))
    if not watch and folder is None:
        output.emit(job, str(job["id"]))
        return ExitCode.ACCEPTED
    output.remark(f"Job {job['id']}")
    return journey.finish(client, output, str(job["id"]), folder)
