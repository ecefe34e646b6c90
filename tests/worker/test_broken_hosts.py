"""A host whose installation does not work costs a job nothing but a while."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from app.core.states import JobStatus, Stage
from app.services import leases
from tests.service_room import ServiceRoom
from tests.worker.test_supervisor import context, database_url
from worker.child_job import ChildJob
from worker.context import Outbox
from worker.endings import MAX_TRIES
from worker.sandbox import child
from worker.supervisor import run_job
from worker.worker_context import WorkerContext

__all__ = ["context", "database_url"]


def times_put_off(context: WorkerContext, job_id: str, code: str, times: int) -> None:
    with context.sessions.begin() as session:
        for _ in range(times):
            lease = leases.claim(session, job_id, worker="w", lease_s=60)
            assert lease is not None
            leases.release(session, lease, error={"code": code, "launched": False})


@pytest.mark.parametrize("mode", [None, 0o600], ids=["missing", "not executable"])
def test_a_job_that_no_worker_has_a_program_for_fails_at_last(
    mode: int | None, room: ServiceRoom, context: WorkerContext, tmp_path: Path
) -> None:
    """An interpreter that an update has removed made a job wait for ever."""
    program = tmp_path / "python"
    if mode is not None:
        program.touch(mode)
    broken = replace(context, child=(str(program),))
    job = room.submit()
    run_job(broken, job.id)
    waiting = room.job(job.id)
    assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 0)
    times_put_off(context, job.id, "program_missing", MAX_TRIES - 2)
    run_job(broken, job.id)
    failed = room.job(job.id)
    assert failed.status == JobStatus.FAILED
    assert failed.error is not None and failed.error["code"] == "program_missing"
    assert str(tmp_path) not in str(failed.error)


def test_a_job_that_waited_long_for_other_things_is_not_failed(
    room: ServiceRoom, context: WorkerContext, tmp_path: Path
) -> None:
    job = room.submit()
    times_put_off(context, job.id, "blob_store_unreachable", MAX_TRIES)
    run_job(replace(context, child=(str(tmp_path / "python"),)), job.id)
    assert room.job(job.id).status == JobStatus.QUEUED


@pytest.mark.parametrize(
    "broken",
    ["import no_such_library", "import os; os._exit(0)", "import os; os.kill(os.getpid(), 4)"],
    ids=["library", "no word", "illegal instruction"],
)
def test_a_host_whose_installation_is_broken_leaves_the_job_to_others(
    broken: str, room: ServiceRoom, context: WorkerContext, caplog: pytest.LogCaptureFixture
) -> None:
    """It took every job that waited, and failed each within a second."""
    job = room.submit()
    room.rung.clear()
    run_job(replace(context, child=(sys.executable, "-c", broken)), job.id)
    waiting = room.job(job.id)
    assert (waiting.status, waiting.attempt, room.rung) == (JobStatus.QUEUED, 0, [])
    assert "installation does not work" in caplog.text
    assert ("no_such_library" in caplog.text) == ("library" in broken)
    run_job(context, job.id)
    assert room.job(job.id).status == JobStatus.SUCCEEDED


def test_a_job_is_not_put_off_for_ever_by_broken_installations(
    room: ServiceRoom, context: WorkerContext
) -> None:
    job = room.submit()
    times_put_off(context, job.id, "program_missing", MAX_TRIES - 1)
    run_job(replace(context, child=(sys.executable, "-c", "import no_such_library")), job.id)
    failed = room.job(job.id)
    assert failed.error is not None and failed.error["code"] == "program_missing"


def test_a_process_whose_libraries_cannot_be_loaded_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It said ``internal_error``, which is the job's fault and final."""

    def load(stage: Stage) -> NoReturn:
        raise ImportError(f"libtorch.so of {stage}")

    said = io.StringIO()
    job = type("Job", (), {"stages": (Stage.PROBE,), "resume_folder": tmp_path})
    monkeypatch.setattr(child, "_take_standard_output", lambda: Outbox(said))
    monkeypatch.setattr(child.signal, "signal", lambda *_: None)
    monkeypatch.setattr(ChildJob, "read", lambda folder: job)
    assert child.run(tmp_path, load) == 1
    assert said.getvalue() == ""
    assert "libtorch.so of probe" in capfd.readouterr().err
