"""``proctor retry``: try a job again."""

from __future__ import annotations

import click

from app.client import ProctorClient
from app.commands.connection import with_client
from app.commands.outcome import ExitCode, Output, proctor_command


@proctor_command("retry")
@click.argument("job_id", metavar="JOB")
@with_client
def command(*, output: Output, client: ProctorClient, job_id: str) -> int:
    """Make a new job from JOB, which failed or was canceled, and print its id.

    What JOB had finished is not done again.
    """
    job = client.retry(job_id)
    output.emit(job, str(job["id"]))
    return ExitCode.ACCEPTED
