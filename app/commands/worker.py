"""``proctor worker``: take jobs from queues; for containers and clusters."""

from __future__ import annotations

import os
from pathlib import Path

import click

from app.commands.options import home_option, settings_of
from app.commands.outcome import CommandError, Output, proctor_command
from app.commands.references import require_references
from app.commands.sandbox import require_sandbox
from app.core.settings import Settings
from app.embedded import child_environment, compute_threads, worker_command
from app.home import enter_home
from app.infra.queue import QUEUES


@proctor_command("worker")
@click.option("--queues", default="cpu", show_default=True, help=f"Comma-separated: {', '.join(QUEUES)}.")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of a job.  [default: OMP_NUM_THREADS, or all usable cores]",
)
@click.option("--name", help="How logs call it.  [default: its first queue]")
@home_option
def command(*, output: Output, queues: str, threads: int | None, name: str | None, home: Path | None) -> int:
    """Run one worker, which does one job at a time from its queues.

    SIGTERM gives a running job back to the queue with what it has reached so far.
    """
    del output
    wanted = [queue.strip() for queue in queues.split(",")]
    unknown = sorted(set(wanted) - set(QUEUES))
    if unknown:
        raise click.UsageError(f"There is no queue {', '.join(unknown)}; there are {', '.join(QUEUES)}.")
    settings = _settings(home)
    require_sandbox(settings)
    if set(wanted) & {"cpu", "gpu"}:  # inspections and upkeep need none
        require_references(settings)
    enter_home(settings)
    arguments = worker_command(wanted, name=name or wanted[0], threads=threads or compute_threads())
    return become(arguments, child_environment(settings))


def _settings(home: Path | None) -> Settings:
    """Require the sandbox unless the operator said otherwise.

    A worker of its own does not know where the API listens, so it must take its uploads for strangers'.
    ``proctor serve`` and ``proctor run`` know, and tell their workers.
    """
    settings = settings_of(home=home)
    if "sandbox" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"sandbox": "required"})


def become(arguments: list[str], environment: dict[str, str]) -> int:
    """Replace this process by another program.

    Raises:
        CommandError: If it cannot be started.
    """
    try:
        os.execve(arguments[0], arguments, environment)  # noqa: S606  no shell is wanted
    except OSError as error:
        raise CommandError(f"Cannot start {arguments[0]}: {error}.", code="exec_failed") from error
