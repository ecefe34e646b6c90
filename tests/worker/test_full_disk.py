"""A worker's machine has a full disk: no fault of a job or a file, and nothing trained is lost."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from safetensors import SafetensorError
from sqlalchemy import select

from app.core.states import JobKind, JobStatus, Stage, UploadStatus
from app.db.tables import Attempt
from app.services import teachers
from models.engine.monitor import ResumeState
from tests.service_room import PRINCIPAL, ServiceRoom
from tests.worker.test_broken_hosts import times_put_off
from tests.worker.test_supervisor import context, database_url, upload
from worker.child_job import ChildJob
from worker.context import Outbox
from worker.endings import MAX_TRIES
from worker.resume import ResumeStore
from worker.sandbox import child
from worker.supervisor import run_job
from worker.worker_context import WorkerContext

__all__ = ["context", "database_url"]

IN_RUST = "Error while serializing: I/O error: {} (os error {})"


def test_a_disk_that_fills_up_puts_the_job_off_and_what_it_trained_is_kept(
    room: ServiceRoom, context: WorkerContext
) -> None:
    """It failed the job, and deleted hours of training with it."""
    job = room.submit(JobKind.DISTILL, then="full")
    run_job(context, job.id)
    waiting = room.job(job.id)
    assert (waiting.status, waiting.attempt, waiting.error) == (JobStatus.QUEUED, 0, None)
    with room.readers() as session:
        error = session.scalars(select(Attempt.error)).one()
    assert error is not None and (error["code"], error["launched"]) == ("host_disk_full", True)
    run_job(context, job.id)  # succeeds only if it finds the state that it kept
    assert room.job(job.id).status == JobStatus.SUCCEEDED


def test_a_workers_disk_that_stays_full_ends_the_job(room: ServiceRoom, context: WorkerContext) -> None:
    job = room.submit(JobKind.DISTILL, then="full")
    times_put_off(context, job.id, "host_disk_full", MAX_TRIES - 1)
    run_job(context, job.id)
    failed = room.job(job.id)
    assert failed.status == JobStatus.FAILED
    assert failed.error is not None and failed.error["code"] == "host_disk_full"
    assert "operator" in failed.error["hint"]


def test_an_upload_for_whose_inspection_there_is_no_room_is_not_refused(
    room: ServiceRoom, context: WorkerContext
) -> None:
    teacher = upload(room, b"no room")
    run_job(context, str(teacher.job_id))
    with room.readers() as session:
        assert teachers.get(session, PRINCIPAL.tenant, teacher.id).status == UploadStatus.INSPECTING


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "host_disk_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "host_disk_full"),
        (SafetensorError(IN_RUST.format("No space left on device", 28)), "host_disk_full"),
        (SafetensorError(IN_RUST.format("Disk quota exceeded", 122)), "host_disk_full"),
        (OSError(errno.EFBIG, "File too large"), "disk_limit"),
        (SafetensorError(IN_RUST.format("File too large", 27)), "disk_limit"),
        (SafetensorError("Error while deserializing: header too large"), "internal_error"),
        (ValueError("(os error 28)"), "internal_error"),
    ],
)
def test_a_full_disk_is_told_from_the_jobs_own_limit(
    error: Exception, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that could not be written were a fault of Proctor, and a full disk the job's own limit."""
    assert f'"code": "{code}"' in said_of(error, tmp_path, monkeypatch)


def test_a_full_disk_is_told_even_if_the_log_lies_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room() -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(child.traceback, "print_exc", no_room)
    error = OSError(errno.ENOSPC, "No space left on device")
    assert '"code": "host_disk_full"' in said_of(error, tmp_path, monkeypatch)


def said_of(error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    def run(job: Any, monitor: Any) -> NoReturn:
        raise error

    said = io.StringIO()
    job = type("Job", (), {"stages": (Stage.PROBE,), "resume_folder": folder, "checkpoint_s": 60.0})
    monkeypatch.setattr(child, "_take_standard_output", lambda: Outbox(said))
    monkeypatch.setattr(child.signal, "signal", lambda *_: None)
    monkeypatch.setattr(ChildJob, "read", lambda folder: job)
    child.run(folder, lambda stage: run)
    return said.getvalue()


def test_a_state_that_does_not_fit_leaves_no_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The half was copied into the next attempt, which had less room for it."""

    def no_room(_descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = ResumeStore(tmp_path / "resume")
    store.keep("distill", ResumeState({"weight": torch.ones(2)}, {}))
    monkeypatch.setattr("worker.resume.os.fsync", no_room)
    with pytest.raises(OSError, match="No space left"):
        store.keep("distill", ResumeState({"weight": torch.zeros(2)}, {}))
    assert list((tmp_path / "resume").glob("*.writing")) == []
    newest = store.newest("distill")
    assert newest is not None and newest.tensors["weight"].sum() == 2
