"""From a file to a student: the steps that ``run``, ``submit``, ``watch`` and ``fetch`` are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import click

from app.client.api import Document
from app.client.errors import ClientError, ProblemError
from app.client.events import Event
from app.client.progress import make_display, transfer_bar
from app.client.transfer import OnBytes
from app.commands.image_sizes import other_size
from app.commands.named_uploads import Uploads, check_named
from app.commands.options import DATA_ROLES, JobOptions
from app.commands.outcome import CommandError, ExitCode, Output, exit_code_of, sentence_of
from app.commands.output_folder import STAGED, make_usable, plain_name, set_aside, take_in
from app.commands.tables import job_text
from app.core.errors import ServiceError

#: Answers to an upload that mean: this file will never be accepted as it is.
_FILE_STATUSES = frozenset({413, 415, 422})


class UnsavedError(CommandError):
    """A job is done, its result is told, and its files could not be saved; its service still has them."""

    def __init__(self, job_id: str, reason: str) -> None:
        """Take why they could not."""
        super().__init__(
            f"Job {job_id} is done, but its files could not be saved: {reason}",
            code="files_unsaved",
            hint=f"`proctor fetch {job_id} --output FOLDER` gets them.",
        )


class JobService(Uploads, Protocol):
    """What the steps need: a server over HTTP, or the same services in this very process."""

    def upload_teacher(self, path: Path, options: Mapping[str, str], on_bytes: OnBytes = ...) -> Document:
        """Hand over a checkpoint; returns once it is inspected."""

    def upload_dataset(self, path: Path, role: str, on_bytes: OnBytes = ...) -> Document:
        """Hand over images; returns once they are inspected."""

    def submit(self, request: Mapping[str, Any]) -> Document:
        """Create a job."""

    def job(self, job_id: str) -> Document:
        """Get a job as it is now."""

    def events(self, job_id: str) -> Iterator[Event]:
        """Yield a job's events until it is over."""

    def artifacts(self, job_id: str) -> list[Document]:
        """List a job's files."""

    def download(self, artifact: Mapping[str, Any], destination: Path, on_bytes: OnBytes = ...) -> Path:
        """Get one file, checked."""


def submit(service: JobService, output: Output, teacher: Path | str, options: JobOptions) -> Document:
    """Upload what is not uploaded yet and create the job.

    Args:
        service: Where.
        output: Shows progress.
        teacher: A path, or as text the id of a teacher uploaded before.
        options: Everything else.

    Raises:
        click.UsageError: If something is said about a teacher uploaded before, or a file cannot be named.
        CommandError: With exit code 3, if a file is refused; as of ``check_named``.
    """

    def send_teacher(path: Path, moved: OnBytes) -> Document:
        return service.upload_teacher(path, options.teacher, moved)

    _check_files(teacher, options)
    check_named(service, teacher, options)
    network = {"id": teacher} if isinstance(teacher, str) else _upload(output, teacher, send_teacher)
    images = {use: _dataset(service, output, use, given) for use, given in options.data.items()}
    if not {"input_size", "layers"} & options.teacher.keys():
        for use, given in options.data.items():
            told = other_size(network, images[use]) if use != "surrogate" else ""
            if told and isinstance(given, Path):
                output.remark(f"{given.name}: {told}")
    data = {use: str(dataset["id"]) for use, dataset in images.items()}
    return service.submit({**options.request, "teacher": str(network["id"]), "data": data})


def _check_files(teacher: Path | str, options: JobOptions) -> None:
    if isinstance(teacher, str) and options.teacher:
        option = f"--{next(iter(options.teacher)).replace('_', '-')}"
        raise click.UsageError(f"{option} belongs to an upload: give the file again with it.")
    for file in (teacher, *options.data.values()):
        if isinstance(file, Path) and not file.name.isprintable():  # bytes that are no UTF-8, among others
            raise click.UsageError(f"{str(file)!a} has a name that cannot be sent: rename the file.")


def _dataset(service: JobService, output: Output, use: str, given: Path | str) -> Document:
    if isinstance(given, str):
        return {"id": given}

    def send_images(path: Path, moved: OnBytes) -> Document:
        return service.upload_dataset(path, DATA_ROLES[use], moved)

    return _upload(output, given, send_images)


def _upload(output: Output, path: Path, send: Callable[[Path, OnBytes], Document]) -> Document:
    try:
        with transfer_bar(output.console, f"Uploading {path.name}", path.stat().st_size) as moved:
            document = send(path, moved)
    except ProblemError as problem:
        if problem.status not in _FILE_STATUSES or problem.code == "invalid_request":
            raise
        raise CommandError(
            f"{path.name}: {problem.detail}",
            code=problem.code,
            hint=problem.hint,
            exit_code=ExitCode.UNSUPPORTED_FILE,
        ) from problem
    for warning in (document.get("inspection") or {}).get("warnings", ()):
        output.remark(f"{path.name}: {warning}")
    return document


def follow(service: JobService, output: Output, job_id: str) -> Document:
    """Show a job's progress until it is over, and return it as it then is."""
    with make_display(output.console) as display:
        for event in service.events(job_id):
            display.handle(event)
    return service.job(job_id)


def hand_over(
    service: JobService, output: Output, job: Document, *, watch: bool, folder: Path | None
) -> ExitCode:
    """Print the id of a job just queued; with ``watch`` or a folder, stay with it as ``finish`` does."""
    job_id = str(job["id"])
    if not watch and folder is None:
        output.emit(job, job_id)
        return ExitCode.ACCEPTED
    output.remark(f"Job {job_id}")
    return finish(service, output, job_id, folder)


def finish(service: JobService, output: Output, job_id: str, folder: Path | None) -> ExitCode:
    """Follow a job to its end, download its files if there are any to have, and show what came out.

    Ctrl-C leaves the job running, and says so.

    Args:
        service: Where the job is.
        output: Shows progress and the result.
        job_id: Which job.
        folder: Where the files go; None downloads nothing.

    Returns:
        The exit code that the job's result stands for.
    """
    try:
        job = follow(service, output, job_id)
    except KeyboardInterrupt:
        output.remark(
            f"The job goes on: `proctor watch {job_id}` comes back, `proctor cancel {job_id}` ends it."
        )
        return ExitCode.CANCELED
    return show_result(service, output, job, folder)


def show_result(service: JobService, output: Output, job: Document, folder: Path | None) -> ExitCode:
    """Download a finished job's files if it has any, show what came out, and judge it.

    Raises:
        UnsavedError: If the files could not be downloaded or written; the result has been shown all the same.
    """
    reason = ""
    if folder is not None and job["status"] == "succeeded":
        try:
            for path in fetch(service, output, job["id"], folder):
                output.remark(f"Saved {path}")
        except (CommandError, ClientError, ServiceError) as error:
            reason = error.detail
        except OSError as error:
            reason = sentence_of(error)
    output.emit(job, job_text(job))
    if folder is None and job["status"] == "succeeded":
        output.remark(
            f"Its files: `proctor fetch {job['id']} --output out`; report.html says why, and what to do next."
        )
    if reason:
        raise UnsavedError(job["id"], reason)
    return exit_code_of(job)


def fetch(
    service: JobService, output: Output, job_id: str, folder: Path, only: str | None = None
) -> list[Path]:
    """Download a job's files into ``folder``, which is made if need be.

    Files of another job that would be left beside them are moved into a folder of their own, and named. Until
    all have come they lie apart: broken off in between, this would leave a report beside a student that it
    does not judge.

    Raises:
        CommandError: If there is nothing to fetch, or the folder cannot be used.
    """
    published = {plain_name(str(artifact["name"])): artifact for artifact in service.artifacts(job_id)}
    artifacts = {name: artifact for name, artifact in published.items() if only in (None, name)}
    if not artifacts:
        job = service.job(job_id)
        hints = [f"Its files are {', '.join(published)}."] if published else []
        if not job.get("finished_at"):
            hints.append(f"Follow it with `proctor watch {job_id}`.")
        elif job["status"] != "succeeded":
            hints.append(f"`proctor watch {job_id}` says why; `proctor retry {job_id}` tries again.")
        raise CommandError(
            f"Job {job_id} has no file{f' named {only!r}' if only else 's'}; it is {job['status']}.",
            code="nothing_to_fetch",
            hint=" ".join(hints),
        )
    make_usable(folder)
    staged = folder / STAGED
    staged.mkdir(exist_ok=True)
    for name, artifact in artifacts.items():
        with transfer_bar(output.console, f"Fetching {name}", int(artifact["size_bytes"])) as moved:
            service.download(artifact, staged / name, moved)
    digests = {name: str(artifact["sha256"]) for name, artifact in published.items()}
    for path in set_aside(folder, digests, artifacts):
        output.remark(f"Moved {path.name}, which is of another job, to {path.parent}")
    return take_in(folder, artifacts)
