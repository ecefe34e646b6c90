"""``proctor watch``: follow a job until it is over."""

from __future__ import annotations

import click

from app.client import ProctorClient
from app.commands import journey
from app.commands.connection import with_client
from app.commands.outcome import Output, proctor_command


@proctor_command("watch")
@click.argument("job_id", metavar="JOB")
@with_client
def command(*, output: Output, client: ProctorClient, job_id: str) -> int:
    """Follow JOB until it is over; Ctrl-C leaves the job running.

    A server that goes away while the job is followed is waited for, five minutes at most; the job goes on.

    The exit code is the job's: 0 if the student was accepted, or an audit ended in not_detected; 1 otherwise;
    2 failed, 130 canceled. It is 130, too, if you stop watching with Ctrl-C.
    """
    return journey.finish(client, output, job_id, folder=None)
