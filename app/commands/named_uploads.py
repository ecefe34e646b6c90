"""What a job names by id, looked up before anything is uploaded for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from app.client.api import Document
from app.client.errors import ProblemError
from app.commands.options import DATA_ROLES, JobOptions
from app.commands.outcome import CommandError, ExitCode


class Uploads(Protocol):
    """Where uploads are looked up."""

    def teacher(self, teacher_id: str) -> Document:
        """Get a teacher."""

    def dataset(self, dataset_id: str) -> Document:
        """Get a dataset."""


def check_named(uploads: Uploads, teacher: Path | str, options: JobOptions) -> None:
    """Refuse ids that the job would be refused for, where files would be sent first for nothing.

    Args:
        uploads: Where they are looked up. A key that may not read leaves it to the job's own refusal.
        teacher: A path, or as text an id.
        options: What else the job names.

    Raises:
        CommandError: With exit code 4, if there is no such upload, it has another role, or a trigger leads to
            no class of the teacher; with exit code 3, if it was refused when it was uploaded.
    """
    if not any(isinstance(given, Path) for given in (teacher, *options.data.values())):
        return  # nothing is sent before the job itself
    if isinstance(teacher, str):
        _check_triggers(_look_up(uploads.teacher, teacher, "teacher"), options.request)
    for use, given in options.data.items():
        if isinstance(given, str):
            role = _look_up(uploads.dataset, given, "dataset").get("role", DATA_ROLES[use])
            if role != DATA_ROLES[use]:
                raise _invalid(f"--{use}: the role of {given} is {role}, not {DATA_ROLES[use]}.")


def _look_up(get: Callable[[str], Document], upload_id: str, what: str) -> Document:
    try:
        found = get(upload_id)
    except ProblemError as problem:
        if problem.code == "scope_missing":
            return {}
        if problem.code == "not_found":
            raise _invalid(f"There is no {what} {upload_id}.") from problem
        raise
    if found.get("status") == "rejected":
        error = found.get("error") or {}
        raise CommandError(
            f"The {what} {upload_id} was refused when it was uploaded: {error.get('detail', '')}",
            code=str(error.get("code") or "invalid_request"),
            hint=str(error.get("hint") or ""),
            exit_code=ExitCode.UNSUPPORTED_FILE,
        )
    return found


def _check_triggers(teacher: Document, request: Document) -> None:
    classes = ((teacher.get("inspection") or {}).get("architecture") or {}).get("num_classes")
    for trigger in request.get("triggers", ()):
        if classes is not None and not 0 <= trigger["target_label"] < classes:
            raise _invalid(f"--trigger-target is none of the teacher's classes 0 to {classes - 1}.")


def _invalid(detail: str) -> CommandError:
    hint = "Nothing was uploaded. Correct the id, or give a file instead of it."
    return CommandError(detail, code="invalid_request", hint=hint, exit_code=ExitCode.USAGE)
