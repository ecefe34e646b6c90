"""``proctor cancel``: stop a job."""

from __future__ import annotations

import click

from app.client import ProctorClient
from app.commands.connection import with_client
from app.commands.outcome import ExitCode, Output, proctor_command


@proctor_command("cancel")
@click.argument("job_id", metavar="JOB")
@with_client
def command(*, output: Output, client: ProctorClient, job_id: str) -> int:
    """Ask JOB to stop; a running one does within seconds, a finished one stays as it is."""
    job = client.cancel(job_id)
    said = "is asked to stop" if job["status"] == "running" else f"is {job['status']}"
    output.emit(job, f"{job_id} {said}.")
    return ExitCode.ACCEPTED
