"""``proctor list``: jobs and where they stand."""

from __future__ import annotations

import re

import click

from app.client import ProctorClient
from app.commands.connection import with_client
from app.commands.outcome import ExitCode, Output, proctor_command
from app.commands.tables import jobs_table
from app.core.states import JobKind, JobStatus


@proctor_command("list")
@click.option("--status", type=click.Choice([status.value for status in JobStatus]))
@click.option("--kind", type=click.Choice([kind.value for kind in JobKind]))
@click.option("--label", metavar="KEY=VALUE", help="Only jobs with this label.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@with_client
def command(
    *,
    output: Output,
    client: ProctorClient,
    status: str | None,
    kind: str | None,
    label: str | None,
    limit: int,
) -> int:
    """List jobs, newest first."""
    filters = {"status": status, "kind": kind, "label": label and label_query(label)}
    jobs = list(client.jobs(limit=limit, **{name: value for name, value in filters.items() if value}))
    output.emit(jobs, jobs_table(jobs) if jobs else "No jobs.")
    return ExitCode.ACCEPTED


def label_query(label: str) -> str:
    """Write ``KEY=VALUE``, as ``submit`` takes it, or ``KEY:VALUE`` as the query of the service wants it.

    Raises:
        click.UsageError: If it is neither.
    """
    found = re.fullmatch(r"(?s)([A-Za-z0-9][A-Za-z0-9_.-]{0,62})[=:](.{0,256})", label)
    if found is None:
        raise click.UsageError(f"--label takes KEY=VALUE, not {label!r}.")
    return f"{found[1]}:{found[2]}"
