"""One job at a time under its supervisor, with real child processes that compute nothing."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
from sqlalchemy import select, text

from app.core.states import EventKind, JobKind, JobStatus, Outcome, Stage, UploadStatus
from app.db.tables import Artifact, Attempt, Job, Metric, ProbeResultRow, StageOutput, Student, Teacher
from app.services import artifacts, events, jobs, teachers
from tests.service_room import PRINCIPAL, ServiceRoom
from worker.supervisor import run_job
from worker.worker_context import WorkerContext

CHILD = (sys.executable, "-I", str(Path(__file__).with_name("fake_child.py")))
PATIENCE_S = 30.0


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def context(room: ServiceRoom) -> WorkerContext:
    settings = room.settings.model_copy(update={"heartbeat_s": 0.2, "cancel_grace_s": 1.0})
    return WorkerContext(settings, room.sessions, room.readers, room.blobs, CHILD, threads=1)


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    return tmp_path / "marks"


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def begun(marks: Path, stage: str) -> Callable[[], bool]:
    return lambda: marks.exists() and f"{stage} " in marks.read_text()


def stages_in(marks: Path) -> list[str]:
    return [line.split()[0] for line in marks.read_text().splitlines()]


def child_is_gone(marks: Path) -> bool:
    pid = int(marks.read_text().splitlines()[-1].split()[1])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def in_background(context: WorkerContext, job: Job) -> threading.Thread:
    thread = threading.Thread(target=run_job, args=(context, job.id))
    thread.start()
    return thread


def test_a_clean_job_becomes_rows_and_files(room: ServiceRoom, context: WorkerContext) -> None:
    job = room.submit()
    run_job(context, job.id)
    done = room.job(job.id)
    assert (done.status, done.verdict, done.target_label, done.accepted) == ("succeeded", "detected", 3, True)
    assert done.result is not None and list(done.result) == ["probe", "distill", "verify"]
    with room.readers() as session:
        names = [artifact.name for artifact in artifacts.page(session, PRINCIPAL.tenant, job.id)]
        student = session.scalars(select(Student)).one()
        probe = session.scalars(select(ProbeResultRow)).one()
        curve = session.execute(select(Metric.series, Metric.step, Metric.value)).all()
        report = artifacts.named(session, PRINCIPAL.tenant, job.id, "report.html")
    assert names == ["audit.json", "report.html", "student.safetensors"]
    assert (student.accuracy, student.accuracy_n, student.worst_attack_success) == (0.9, 100, 0.02)
    assert (student.accepted, student.artifact_id is not None) == (True, True)
    assert (probe.probe, probe.statistic) == ("mmbd", 9.5)
    assert [tuple(point) for point in curve] == [
        ("margin", 1, 0.5),
        ("defended.loss", 1, 2.0),
        ("defended.loss", 2, 1.0),
    ]
    assert report is not None and room.read(report.sha256) == b"<p>distill probe verify"


def test_the_story_of_a_job_is_told_in_order(room: ServiceRoom, context: WorkerContext) -> None:
    job = room.submit()
    run_job(context, job.id)
    with room.readers() as session:
        told = [
            (event.kind, event.data.get("status") or event.data.get("stage"))
            for event in events.page(session, job.id)
        ]
    # On a slow machine more than one progress report comes through; their number is no part of the story.
    assert [key for key, _ in groupby(told)] == [
        (EventKind.STATUS, "queued"),
        (EventKind.STATUS, "running"),
        (EventKind.STAGE, "probe"),
        (EventKind.METRIC, "probe"),
        (EventKind.LOG, "probe"),
        (EventKind.STAGE, "distill"),
        (EventKind.PROGRESS, "distill"),
        (EventKind.STAGE, "verify"),
        (EventKind.STAGE, "report"),
        (EventKind.STATUS, "succeeded"),
        (EventKind.DONE, "succeeded"),
    ]


def test_nothing_is_left_in_the_scratch_folder(room: ServiceRoom, context: WorkerContext) -> None:
    job = room.submit()
    run_job(context, job.id)
    assert list(context.settings.scratch_folder.iterdir()) == []


def test_a_second_message_for_a_finished_job_does_nothing(room: ServiceRoom, context: WorkerContext) -> None:
    job = room.submit()
    run_job(context, job.id)
    run_job(context, job.id)
    with room.readers() as session:
        assert len(list(session.scalars(select(Attempt)))) == 1


def upload(room: ServiceRoom, content: bytes) -> Teacher:
    with room.sessions.begin() as session:
        stored = room.store(content)
        return teachers.receive(session, PRINCIPAL, stored, filename="x.pt", declared={})[0]


def test_an_inspection_makes_a_teacher_ready(room: ServiceRoom, context: WorkerContext) -> None:
    teacher = upload(room, b"good")
    run_job(context, str(teacher.job_id))
    with room.readers() as session:
        ready = teachers.get(session, PRINCIPAL.tenant, teacher.id)
        assert (ready.status, ready.architecture, ready.num_classes) == (UploadStatus.READY, "wrn-16-1", 10)
        assert room.read(str(ready.canonical_sha256)) == b"canonical good"
        assert list(session.scalars(select(Artifact))) == []


def test_a_refused_upload_says_why(room: ServiceRoom, context: WorkerContext) -> None:
    teacher = upload(room, b"bad")
    run_job(context, str(teacher.job_id))
    with room.readers() as session:
        rejected = teachers.get(session, PRINCIPAL.tenant, teacher.id)
    assert rejected.status == UploadStatus.REJECTED
    assert rejected.error == {
        "code": "not_a_checkpoint",
        "detail": "This is no checkpoint.",
        "hint": "Upload one.",
    }


@pytest.mark.parametrize(
    ("then", "code"),
    [
        ("crash", "child_crashed"),
        ("kill", "child_killed"),
        ("garbage", "child_protocol"),
        ("skip", "child_protocol"),
        ("fail", "non_finite"),
        ("raise", "internal_error"),
        ("link", "output_invalid"),
    ],
)
def test_a_child_that_goes_wrong_fails_the_job_with_a_code(
    then: str, code: str, room: ServiceRoom, context: WorkerContext
) -> None:
    job = room.submit(JobKind.DISTILL, then=then)
    run_job(context, job.id)
    failed = room.job(job.id)
    assert failed.status == JobStatus.FAILED
    assert failed.error is not None and failed.error["code"] == code
    assert "/secret" not in str(failed.error)
    with room.readers() as session:
        assert list(session.scalars(select(Artifact))) == []


def test_a_child_that_hangs_is_killed_at_the_time_limit(
    room: ServiceRoom, context: WorkerContext, marks: Path
) -> None:
    job = room.submit(JobKind.DISTILL, timeout_s=2.0, then="hang", marks=str(marks))
    run_job(context, job.id)
    error = room.job(job.id).error
    assert error is not None and error["code"] == "time_limit"
    assert child_is_gone(marks)


@pytest.mark.parametrize(
    "recipe", [{"steps": 10_000, "step_s": 0.01}, {"then": "hang"}], ids=["polite", "deaf"]
)
def test_a_running_job_is_canceled_within_five_seconds(
    recipe: dict[str, object], room: ServiceRoom, context: WorkerContext, marks: Path
) -> None:
    job = room.submit(JobKind.DISTILL, marks=str(marks), **recipe)
    thread = in_background(context, job)
    wait_until(begun(marks, "distill"))
    with room.sessions.begin() as session:
        jobs.cancel(session, PRINCIPAL.tenant, job.id)
    asked = time.monotonic()
    thread.join()
    assert time.monotonic() - asked <= 5.0
    assert room.job(job.id).status == JobStatus.CANCELED
    assert child_is_gone(marks)


def test_a_lost_lease_kills_the_child_and_writes_nothing(
    room: ServiceRoom, context: WorkerContext, marks: Path
) -> None:
    job = room.submit(JobKind.DISTILL, steps=10_000, step_s=0.01, marks=str(marks))
    thread = in_background(context, job)
    wait_until(begun(marks, "distill"))
    with room.sessions.begin() as session:
        session.execute(text("UPDATE jobs SET lease_token = 'another'"))
    thread.join()
    assert child_is_gone(marks)
    taken = room.job(job.id)
    assert (taken.status, taken.lease_token) == (JobStatus.RUNNING, "another")


def test_a_worker_told_to_stop_gives_the_job_back(
    room: ServiceRoom, context: WorkerContext, marks: Path
) -> None:
    job = room.submit(steps=10_000, step_s=0.01, marks=str(marks))
    thread = in_background(context, job)
    wait_until(begun(marks, "distill"))
    context.stopping.set()
    thread.join()
    back = room.job(job.id)
    assert (back.status, back.attempt) == (JobStatus.QUEUED, 0)
    with room.readers() as session:
        assert session.scalar(select(Attempt.outcome)) == Outcome.RELEASED


def test_finished_stages_are_not_done_again(room: ServiceRoom, context: WorkerContext, marks: Path) -> None:
    job = room.submit(steps=1000, step_s=0.02, slow_once=True, marks=str(marks))
    thread = in_background(context, job)
    wait_until(begun(marks, "distill"))
    context.stopping.set()
    thread.join()
    run_job(replace(context, stopping=threading.Event()), job.id)
    assert stages_in(marks) == ["probe", "distill", "distill", "verify", "report"]
    assert room.job(job.id).status == JobStatus.SUCCEEDED


def test_a_retried_job_keeps_finished_stages(room: ServiceRoom, context: WorkerContext, marks: Path) -> None:
    job = room.submit(then="crash", marks=str(marks))
    run_job(context, job.id)
    with room.sessions.begin() as session:
        again = jobs.retry(session, PRINCIPAL.tenant, job.id)
        assert again.retry_of == job.id
        kept = session.scalars(select(StageOutput).where(StageOutput.job_id == again.id)).all()
        assert [output.stage for output in kept] == [Stage.PROBE]
    run_job(context, again.id)
    assert stages_in(marks) == ["probe", "distill", "distill"]


def test_a_job_whose_teacher_vanished_fails(room: ServiceRoom, context: WorkerContext) -> None:
    job = room.submit()
    with room.sessions.begin() as session:
        session.execute(text("UPDATE jobs SET teacher_id = NULL"))
    run_job(context, job.id)
    error = room.job(job.id).error
    assert error is not None and error["code"] == "not_found"


def test_the_child_gets_no_credential(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@host/db")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    script = tmp_path / "environment.py"
    script.write_text(
        "import os, sys\nopen(sys.argv[1] + '/../../../seen', 'w').write(repr(dict(os.environ)))"
    )
    job = room.submit()
    run_job(replace(context, child=(sys.executable, "-I", str(script))), job.id)
    seen = (tmp_path / "seen").read_text()
    assert "OMP_NUM_THREADS" in seen
    assert "DATABASE_URL" not in seen
    assert "secret" not in seen
