"""``proctor retry``: try a job again."""

from __future__ import annotations

from pathlib import Path

import click

from app.client import ProctorClient
from app.commands import journey
from app.commands.connection import with_client
from app.commands.options import following_options
from app.commands.outcome import Output, proctor_command
from app.commands.output_folder import make_usable


@proctor_command("retry")
@click.argument("job_id", metavar="JOB")
@following_options
@with_client
def command(*, output: Output, client: ProctorClient, job_id: str, watch: bool, folder: Path | None) -> int:
    """Make a new job from JOB, which failed or was canceled, and print its id.

    What JOB had finished is not done again. With --watch or --output it stays until the new job is over;
    Ctrl-C then leaves the job running.
    """
    if folder is not None:
        make_usable(folder)
    job = client.retry(job_id)
    return journey.hand_over(client, output, job, watch=watch, folder=folder)
