from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.core.states import DatasetRole, JobStatus, Stage
from app.db.tables import Artifact, StageOutput
from app.infra.queue import UPKEEP, make_celery
from app.services import datasets, leases, upkeep_passes
from tests.service_room import PRINCIPAL, ServiceRoom
from worker import scratch, tasks, upkeep
from worker.celery_app import create_scheduler
from worker.worker_context import WorkerContext


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def context(room: ServiceRoom) -> WorkerContext:
    settings = room.settings.model_copy(update={"rering_s": 0.001})
    return WorkerContext(settings, room.sessions, room.readers, room.blobs, (sys.executable,), threads=1)


def test_a_silent_workers_job_is_queued_and_rung_for(room: ServiceRoom, context: WorkerContext) -> None:
    job = room.submit()
    with room.sessions.begin() as session:
        leases.claim(session, job.id, worker="w", lease_s=-1)
    room.rung.clear()
    upkeep.tick(context)
    assert room.job(job.id).status == JobStatus.QUEUED
    assert set(room.rung) == {(job.id, "cpu")}


def test_each_round_is_noted(room: ServiceRoom, context: WorkerContext) -> None:
    with room.readers() as session:
        assert upkeep_passes.age_s(session) is None
    upkeep.tick(context)
    with room.readers() as session:
        age_s = upkeep_passes.age_s(session)
    assert age_s is not None and age_s < 60


def test_a_job_whose_message_was_lost_is_rung_for(room: ServiceRoom, context: WorkerContext) -> None:
    job = room.submit()
    room.rung.clear()
    while not room.rung:  # at once, but for the millisecond that makes a ring old
        upkeep.tick(context)
    assert room.rung == [(job.id, "cpu")]


def test_folders_of_live_jobs_are_kept_and_others_deleted(room: ServiceRoom, context: WorkerContext) -> None:
    job = room.submit()
    for name in (job.id, "job_over"):
        (context.settings.scratch_folder / name / "token").mkdir(parents=True)
    upkeep.tick(context)
    assert [path.name for path in context.settings.scratch_folder.iterdir()] == [job.id]


def test_a_job_submitted_while_upkeep_looks_keeps_its_folder(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = context.settings.scratch_folder
    (root / "job_over" / "token").mkdir(parents=True)
    listed = Path.iterdir
    submitted: list[str] = []

    def submit_first(path: Path) -> Iterator[Path]:
        if path == root and not submitted:
            submitted.append(room.submit().id)
            (root / submitted[0] / "token").mkdir(parents=True)
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", submit_first)
    upkeep.tick(context)
    assert [path.name for path in listed(root)] == submitted


def needed_blobs(room: ServiceRoom) -> set[str]:
    """Make a row of each kind that refers to a blob; all of their bytes are old."""
    job = room.submit()
    with room.sessions.begin() as session:
        archive, canonical, artifact, output = (room.store(name) for name in (b"zip", b"npz", b"art", b"out"))
        dataset, _ = datasets.receive(
            session, PRINCIPAL, archive, filename="x.zip", role=DatasetRole.SURROGATE
        )
        dataset.canonical_sha256 = canonical.sha256
        file = {"name": "x", "media_type": "y", "size_bytes": 3}
        session.add(
            Artifact(
                id="art_x",
                tenant=job.tenant,
                job_id=job.id,
                stage=Stage.PROBE,
                sha256=artifact.sha256,
                **file,
            )
        )
        files = [{**file, "sha256": output.sha256}]
        session.add(StageOutput(job_id=job.id, stage=Stage.PROBE, attempt=1, result={}, files=files))
    found = set(room.blobs.stored_before(time.time() + 1))
    assert len(found) == 6
    for sha256 in found:
        make_old(room, sha256)
    return found


def make_old(room: ServiceRoom, sha256: str) -> str:
    os.utime(str(room.blobs.path(sha256)), (0, 0))
    return sha256


def test_only_old_blobs_that_no_row_refers_to_are_swept(room: ServiceRoom, context: WorkerContext) -> None:
    needed = needed_blobs(room)
    make_old(room, room.store(b"a killed process left this").sha256)
    just_stored = room.store(b"its row is not committed yet").sha256
    upkeep.tick(context)
    assert set(room.blobs.stored_before(time.time() + 1)) == {*needed, just_stored}


def test_a_clock_that_is_ahead_sweeps_nothing_young(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took bytes whose row was not committed yet, and the file of an upload under way."""
    just_stored = room.store(b"its row is not committed yet").sha256
    writer = room.blobs.open_for_write(limit_bytes=7)
    writer.write(b"weights")
    now_s = time.time()
    monkeypatch.setattr("time.time", lambda: now_s + 5 * 3600.0)
    upkeep.tick(context)
    uploaded = writer.finish().sha256
    assert set(room.blobs.stored_before(math.inf)) == {just_stored, uploaded}


def test_what_is_stored_again_during_the_sweep_is_kept(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = make_old(room, room.store(b"weights").sha256)

    def read_and_upload(session: Session) -> set[str]:
        room.store(b"weights")
        return set()

    monkeypatch.setattr("worker.upkeep.blob_references.referenced", read_and_upload)
    upkeep.sweep(context)
    assert room.read(sha256) == b"weights"


def test_blobs_are_swept_every_ten_minutes(room: ServiceRoom, context: WorkerContext) -> None:
    upkeep.tick(context)
    sha256 = make_old(room, room.store(b"nobody's").sha256)
    upkeep.tick(context)
    assert room.read(sha256) == b"nobody's"
    os.utime(context.settings.home / "swept", (0, 0))
    upkeep.tick(context)
    assert room.blobs.stored_before(1.0) == []


def test_a_clock_that_was_set_back_does_not_end_the_sweeping(
    room: ServiceRoom, context: WorkerContext
) -> None:
    upkeep.tick(context)
    make_old(room, room.store(b"nobody's").sha256)
    next_year = time.time() + 365 * 86_400
    os.utime(context.settings.home / "swept", (next_year, next_year))
    upkeep.tick(context)
    assert room.blobs.stored_before(1.0) == []


def test_ticks_that_piled_up_behind_a_busy_worker_make_one_round(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_celery(context.settings)
    tasks.register(app, context)
    now = 0.0
    rounds: list[float] = []
    monkeypatch.setattr("worker.upkeep.tick", lambda _: rounds.append(now))
    monkeypatch.setattr("worker.upkeep.time.monotonic", lambda: now)
    for now in (0.0, 0.1, 0.2, 15.0, 30.0, 30.1):  # noqa: B007 - the clock that both read
        app.tasks[UPKEEP]()
    assert rounds == [0.0, 15.0, 30.0]


def test_a_tick_is_not_dated(context: WorkerContext) -> None:
    """It was to expire after 15 s: no worker did any upkeep whose clock was 20 s before the scheduler's."""
    scheduler = create_scheduler(context.settings)
    entry = scheduler.conf.beat_schedule["upkeep"]
    scheduler.send_task(entry["task"], **entry["options"])
    with scheduler.connection_for_read() as connection:
        message = connection.default_channel.basic_get("upkeep", no_ack=True)
    assert message is not None
    assert message.headers["expires"] is None


def test_the_brokers_leftovers_are_cleared_away(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = context.settings.broker_folder
    for name in ("processed/old.msg", "messages/writing-old", "messages/waiting.cpu.msg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    monkeypatch.setattr("worker.upkeep.time.time", lambda: (folder / "messages").stat().st_ctime + 7200)
    upkeep.tick(context)
    assert sorted(path.name for path in folder.rglob("*.*")) == ["waiting.cpu.msg"]


def test_an_attempt_starts_from_the_newest_state_of_an_earlier_one(room: ServiceRoom, tmp_path: Path) -> None:
    root = tmp_path / "scratch"
    for age, token in enumerate(("new", "old")):
        resume = root / "job_x" / token / "resume"
        resume.mkdir(parents=True)
        (resume / "distill-0.json").write_text(token)
        os.utime(resume, (1e9 - age, 1e9 - age))
    lease = leases.Lease("job_x", "token", 2)
    folder = scratch.prepare(root, lease, {}, {}, room.blobs)
    assert (folder / "resume" / "distill-0.json").read_text() == "new"


def test_half_a_copy_of_a_state_is_not_resumed_from(
    room: ServiceRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "scratch"
    resume = root / "job_x" / "first" / "resume"
    resume.mkdir(parents=True)
    (resume / "distill-0.json").write_text("whole")

    def die_half_way(source: Path, target: Path) -> None:
        target.mkdir(parents=True)
        (target / "distill-0.json.writing").write_text("who")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("worker.scratch.shutil.copytree", die_half_way)
        scratch.prepare(root, leases.Lease("job_x", "second", 2), {}, {}, room.blobs)
    folder = scratch.prepare(root, leases.Lease("job_x", "third", 3), {}, {}, room.blobs)
    assert (folder / "resume" / "distill-0.json").read_text() == "whole"


def test_inputs_are_copies(room: ServiceRoom, tmp_path: Path) -> None:
    sha256 = room.store(b"weights").sha256
    lease = leases.Lease("job_x", "token", 1)
    folder = scratch.prepare(tmp_path / "scratch", lease, {}, {"in/probe/x": sha256}, room.blobs)
    (folder / "in/probe/x").write_bytes(b"changed")
    assert room.read(sha256) == b"weights"
