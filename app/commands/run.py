"""``proctor run``: the whole journey in the foreground, without a server."""

from __future__ import annotations

import shlex
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from app.commands import journey
from app.commands.local import LocalService, open_engine
from app.commands.options import JobOptions, job_options, passing_home_option, settings_of
from app.commands.outcome import CommandError, ExitCode, Output, proctor_command
from app.commands.output_folder import make_usable, output_option
from app.commands.references import require_references
from app.commands.sandbox import require_sandbox
from app.core.settings import Settings, embedded_urls
from app.embedded import background_children
from app.home import HomeBusyError, sole_owner
from app.preparation import prepare_database
from app.processes import ChildFailedError, Supervisor, stop_on_signals

#: A running job stops at its next step, within seconds; what does not is killed with its worker.
CANCEL_S = 8.0


@proctor_command("run")
@click.argument("teacher", metavar="TEACHER", type=click.Path(exists=True, dir_okay=False))
@job_options
@output_option("Student, report and other files go here.")
@passing_home_option
def command(*, output: Output, teacher: str, folder: Path, home: Path | None, **given: Any) -> int:
    """Audit TEACHER, distill a defended student, verify it, and save student and report.

    Needs no server and leaves none: everything runs on this machine, in a folder that is removed at the end
    unless --home names one. Ctrl-C cancels.

    The exit code tells whether the student was accepted, whatever TEACHER is; to gate on TEACHER, give
    --kind audit: 0 only if the audit ends in not_detected.
    """
    return run_here(output, teacher, JobOptions.of(given), folder, home)


def run_here(output: Output, teacher: str, options: JobOptions, folder: Path, home: Path | None) -> int:
    """Do a job from upload to download on this machine; returns the exit code that its result stands for.

    Raises:
        CommandError: If ``folder`` cannot be used, the workers cannot start, or a file is refused.
        UnsavedError: If the files of a finished job could not be written; the home that has them is kept.
    """
    folder = folder.absolute()
    make_usable(folder)
    with stop_on_signals() as stop, local_service(output, home, stop) as service:
        job = journey.submit(service, output, Path(teacher), options)
        try:
            job = journey.follow(service, output, str(job["id"]))
        except KeyboardInterrupt:
            _cancel(service, output, str(job["id"]))
            return ExitCode.CANCELED
        if (job["error"] or {}).get("code") == "internal_error":
            output.remark(service.log_tail())
        try:
            return journey.show_result(service, output, job, folder)
        except journey.UnsavedError as error:
            there = f"--home {shlex.quote(str(service.home))}"
            fetch = f"proctor fetch {job['id']} {there} --output FOLDER"
            error.hint = f"They are kept: `proctor serve {there}`, then `{fetch}` in another terminal."
            raise


def _cancel(service: LocalService, output: Output, job_id: str) -> None:
    output.remark("Canceling ...")
    service.cancel(job_id)
    over = service.ended_within(job_id, CANCEL_S)
    output.remark("Canceled." if over else "Canceled. Its worker did not stop in time and is ended now.")


def settings_in(home: Path) -> Settings:
    """Build settings with which everything lies in ``home``, whatever servers the environment names.

    Those belong to a service that others use: its workers would do the job, and its database keep it.
    """
    home = home.expanduser().absolute()
    return settings_of(home=home, **embedded_urls(home))


@contextmanager
def _temporary_home() -> Iterator[Path]:
    """Make a home and remove it at the end, unless it is the only place that has a job's files."""
    home, keep = Path(tempfile.mkdtemp(prefix="proctor-run-")), False
    try:
        yield home
    except journey.UnsavedError:
        keep = True
        raise
    finally:
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def local_service(output: Output, home: Path | None, stop: threading.Event) -> Iterator[LocalService]:
    """Open a home, start its workers, and stop them at the end. While it waits, ``stop`` interrupts it.

    Raises:
        CommandError: If a server runs on the home, or a worker does not stay up.
    """
    with ExitStack() as stack:
        if home is None:
            home = stack.enter_context(_temporary_home())
        settings = settings_in(home)
        require_sandbox(settings)
        require_references(settings)
        settings.make_home()
        try:
            stack.enter_context(sole_owner(settings.home))
        except HomeBusyError as error:
            hint = "Use `proctor submit` there, or leave --home out."
            raise CommandError(str(error), code="home_busy", hint=hint) from error
        prepare_database(settings)
        supervisor = Supervisor(output.remark)
        # On a loaded machine they are slow to end: no news, and it would stand before the one that is.
        stack.callback(supervisor.stop, quietly=True)
        for spec in background_children(settings):
            supervisor.start(spec)
        engine = stack.enter_context(open_engine(settings))
        yield LocalService(settings, engine, _ticker(supervisor, output, stop))


def _ticker(supervisor: Supervisor, output: Output, stop: threading.Event) -> Callable[[], None]:
    def tick() -> None:
        if stop.is_set():
            stop.clear()
            raise KeyboardInterrupt
        try:
            supervisor.tick()
        except ChildFailedError as error:
            output.remark(error.log_tail)
            raise CommandError(str(error), code="process_failed", hint="Run `proctor doctor`.") from error

    return tick
