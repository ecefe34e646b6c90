"""What costs a job an attempt or its time, and what must not."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from app.core.states import JobStatus, Outcome, UploadStatus
from app.db.tables import Attempt, Job
from app.infra.blobs import StoreUnreachable
from app.services import leases, teachers
from tests.service_room import PRINCIPAL, ServiceRoom
from tests.worker.test_supervisor import context, database_url, upload
from worker import scratch, supervisor
from worker.lease_keeper import LeaseKeeper
from worker.supervisor import run_job
from worker.worker_context import WorkerContext

__all__ = ["context", "database_url"]


def test_an_upload_whose_reader_was_told_to_stop_waits(room: ServiceRoom, context: WorkerContext) -> None:
    """A service manager signals worker, process and reader; a good upload was refused for good."""
    teacher = upload(room, b"told to stop")
    run_job(context, str(teacher.job_id))
    job = room.job(str(teacher.job_id))
    assert (job.status, job.attempt) == (JobStatus.QUEUED, 0)
    with room.readers() as session:
        assert teachers.get(session, PRINCIPAL.tenant, teacher.id).status == UploadStatus.INSPECTING


def no_room(*_arguments: object, **_named: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


def no_room_for_a_log(
    path: Path, *arguments: Any, open_: Callable[..., Any] = Path.open, **named: Any
) -> Any:
    return no_room() if path.name == "stderr.log" else open_(path, *arguments, **named)


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        ("worker.supervisor.scratch.prepare", no_room),
        ("worker.sandbox.launch.Path.open", no_room_for_a_log),
        ("worker.sandbox.launch.subprocess.Popen", no_room),
    ],
    ids=["folder", "log", "process"],
)
def test_a_host_that_cannot_begin_a_job_leaves_it_to_others(
    what: str,
    fault: Callable[..., object],
    room: ServiceRoom,
    context: WorkerContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The task died, and the job waited for its lease to run out: three full disks failed it for good."""
    job = room.submit()
    with monkeypatch.context() as outage:
        outage.setattr(what, fault)
        run_job(context, job.id)
    waiting = room.job(job.id)
    assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 0)
    with room.readers() as session:
        outcome, error = session.execute(select(Attempt.outcome, Attempt.error)).one()
    assert (outcome, error["code"]) == (Outcome.RELEASED, "not_launched")
    run_job(context, job.id)
    assert room.job(job.id).status == JobStatus.SUCCEEDED


@pytest.mark.parametrize("read", ["scratch.delete_ended", "make_plan", "leases.spent_s"])
def test_a_database_that_is_away_for_a_moment_before_the_launch_is_waited_for(
    read: str, room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    outages = [OperationalError("SELECT", {}, Exception("away"))]
    there = attrgetter(read)(supervisor)

    def flaky(*arguments: Any, **named: Any) -> Any:
        if outages:
            raise outages.pop()
        return there(*arguments, **named)

    monkeypatch.setattr("worker.lease_keeper.RETRY_S", 0.01)
    monkeypatch.setattr(f"worker.supervisor.{read}", flaky)
    job = room.submit()
    run_job(context, job.id)
    done = room.job(job.id)
    assert (done.status, done.attempt, outages) == (JobStatus.SUCCEEDED, 1, [])


def away_after_a_while(*_arguments: object, **_named: object) -> NoReturn:
    time.sleep(0.5)
    raise StoreUnreachable("away")


@pytest.mark.parametrize(("method", "counts"), [("fetch", False), ("put_file", True)])
def test_waiting_for_a_lost_store_is_not_time_of_the_job_but_computing_is(
    method: str, counts: bool, room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = room.submit()
    monkeypatch.setattr(room.blobs, method, away_after_a_while)
    run_job(context, job.id)
    with room.readers() as session:
        spent_s = leases.spent_s(session, leases.Lease(job.id, "next", 1))
    assert (spent_s >= 0.5) == counts
    assert counts or spent_s == 0


def test_attempts_that_were_put_off_or_stopped_leave_one_folder(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once left all its inputs behind, until the job ended."""
    job = room.submit()
    folder = context.settings.scratch_folder / job.id
    left = []
    for method in ("put_file", "put_file", "fetch"):
        with monkeypatch.context() as outage:
            outage.setattr(room.blobs, method, away_after_a_while)
            run_job(context, job.id)
        left.append([each.name for each in folder.iterdir()])
    assert [len(names) for names in left] == [1, 1, 1]
    assert left[1] == left[2] != left[0]


def test_a_state_is_resumed_from_after_an_attempt_that_could_not_begin(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = context.settings.scratch_folder
    resume = root / "job_x" / "first" / "resume"
    resume.mkdir(parents=True)
    (resume / "distill-0.json").write_text("kept")
    sha256 = room.store(b"weights").sha256
    with monkeypatch.context() as outage, pytest.raises(StoreUnreachable):
        outage.setattr(room.blobs, "fetch", away_after_a_while)
        scratch.prepare(root, leases.Lease("job_x", "second", 1), {}, {"in/x": sha256}, room.blobs)
    folder = scratch.prepare(root, leases.Lease("job_x", "third", 1), {}, {"in/x": sha256}, room.blobs)
    assert (folder / "resume" / "distill-0.json").read_text() == "kept"
    scratch.delete_earlier(folder)
    assert list((root / "job_x").iterdir()) == [folder]


def test_a_worker_that_stood_still_leaves_the_folder_of_its_successor(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It prepares while its lease passes to a worker of this host, whose folder is no earlier one."""
    job = room.submit()
    successor = context.settings.scratch_folder / job.id / "successor"
    prepare = scratch.prepare

    def slowly(*arguments: Any, **named: Any) -> Path:
        folder = prepare(*arguments, **named)
        successor.mkdir()
        with room.sessions.begin() as session:
            session.execute(update(Job).where(Job.id == job.id).values(lease_token="successor"))
        return folder

    monkeypatch.setattr(scratch, "prepare", slowly)
    run_job(context, job.id)
    assert successor.exists()


def test_an_audit_waits_for_a_folder_of_references_that_is_gone(
    room: ServiceRoom, context: WorkerContext, tmp_path: Path
) -> None:
    """It ran without them and said less, and only the worker's log knew why."""
    job = room.submit()
    folder = tmp_path / "references"
    settings = context.settings.model_copy(update={"calibration_dir": folder})
    context = replace(context, settings=settings)
    run_job(context, job.id)
    waiting = room.job(job.id)
    assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 0)
    folder.mkdir()
    run_job(context, job.id)
    assert room.job(job.id).status == JobStatus.SUCCEEDED


def test_references_are_read_under_a_lease_that_is_renewed_and_outside_of_transactions(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder may be a slow server's: its transaction stayed open, and after a minute the job was lost."""
    job = room.submit()
    seen = []

    def slowly(folder: Path | None) -> dict[str, str]:
        seen.append(room.engine.pool.checkedout())  # type: ignore[attr-defined]
        heard_at, deadline = room.job(job.id).heartbeat_at, time.monotonic() + 20.0
        while room.job(job.id).heartbeat_at == heard_at and time.monotonic() < deadline:
            time.sleep(0.05)
        seen.append(room.job(job.id).heartbeat_at != heard_at)
        return {}

    monkeypatch.setattr(supervisor, "read_texts", slowly)
    run_job(context, job.id)
    assert seen == [0, True]
    assert room.job(job.id).status == JobStatus.SUCCEEDED


def test_the_lease_is_renewed_at_once_when_the_machine_wakes_up(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = room.submit()
    with context.sessions.begin() as session:
        lease = leases.claim(session, job.id, worker="w", lease_s=60.0)
    assert lease is not None
    keeper = LeaseKeeper(context, lease)
    heard_at = room.job(job.id).heartbeat_at
    monkeypatch.setattr("worker.lease_keeper.time.clock_gettime", lambda clock: time.monotonic() + 3600.0)
    keeper.renew_if_due()
    assert room.job(job.id).heartbeat_at > heard_at


def test_what_a_process_said_cannot_pass_for_a_line_of_the_log(
    room: ServiceRoom, context: WorkerContext, caplog: pytest.LogCaptureFixture
) -> None:
    said = r"import sys; sys.exit('ends\nINFO: job_1: done\rWARNING: \x1b[2J')"
    job = room.submit()
    run_job(replace(context, child=(sys.executable, "-c", said)), job.id)
    logged = next(record.getMessage() for record in caplog.records if "process said" in record.getMessage())
    assert logged.splitlines()[1:] == ["  | ends", "  | INFO: job_1: done WARNING:  [2J"]
    assert "\x1b" not in logged
