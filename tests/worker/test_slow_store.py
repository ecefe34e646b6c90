"""The job is canceled, or the worker told to stop, while bytes move."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import select

from app.core.states import JobKind, JobStatus, Stage
from app.db.tables import Job, StageOutput
from app.infra.measured_writer import MeasuredWriter
from app.services import jobs
from tests.service_room import PRINCIPAL, ServiceRoom
from tests.worker.test_supervisor import context, database_url, in_background
from worker.worker_context import WorkerContext

__all__ = ["context", "database_url"]

#: Of a byte, in these tests.
SLOW_S = 0.2
ENDLESS = 200


class Dripping(io.BytesIO):
    """A teacher that takes its time, and tells when its first byte is there."""

    def __init__(self, begun: threading.Event) -> None:
        super().__init__(b"x" * ENDLESS)
        self._begun = begun

    def read(self, size: int | None = -1, /) -> bytes:
        self._begun.set()
        time.sleep(SLOW_S)
        return super().read(1)


Halt = Callable[[ServiceRoom, WorkerContext, Job], None]


def cancel(room: ServiceRoom, context: WorkerContext, job: Job) -> None:
    with room.sessions.begin() as session:
        jobs.cancel(session, PRINCIPAL.tenant, job.id)


def stop(room: ServiceRoom, context: WorkerContext, job: Job) -> None:
    context.stopping.set()


halts = pytest.mark.parametrize(
    ("halt", "status"), [(cancel, JobStatus.CANCELED), (stop, JobStatus.QUEUED)], ids=["cancel", "stop"]
)


@halts
def test_a_download_is_given_up(
    halt: Halt,
    status: JobStatus,
    room: ServiceRoom,
    context: WorkerContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that was told to stop fetched the rest of a large teacher first, and was killed in between."""
    begun = threading.Event()
    monkeypatch.setattr(room.blobs, "open", lambda sha256: Dripping(begun))
    job = room.submit(JobKind.DISTILL)
    thread = in_background(context, job)
    begun.wait()
    halt(room, context, job)
    asked = time.monotonic()
    thread.join()
    assert time.monotonic() - asked <= 5.0
    ended = room.job(job.id)
    assert (ended.status, ended.attempt) == (status, 0 if halt is stop else 1)


@pytest.fixture
def uploading(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Make each byte of a finished stage slow, and tell when the first is on its way."""
    begun, write = threading.Event(), MeasuredWriter.write

    def slowly(writer: MeasuredWriter, chunk: bytes) -> None:
        begun.set()
        time.sleep(SLOW_S)
        write(writer, chunk)

    monkeypatch.setattr(MeasuredWriter, "write", slowly)
    monkeypatch.setattr("app.infra.blob_store.CHUNK_BYTES", 1)
    return begun


def kept_stages(room: ServiceRoom) -> list[Stage]:
    with room.readers() as session:
        return list(session.scalars(select(StageOutput.stage)))


@halts
def test_an_upload_is_given_up_when_it_takes_longer_than_the_grace(
    halt: Halt, status: JobStatus, room: ServiceRoom, context: WorkerContext, uploading: threading.Event
) -> None:
    job = room.submit()
    uploading.clear()
    thread = in_background(context, job)
    uploading.wait()  # for the audit, of some hundred bytes
    halt(room, context, job)
    asked = time.monotonic()
    thread.join()
    assert context.settings.cancel_grace_s - SLOW_S <= time.monotonic() - asked <= 5.0
    assert (room.job(job.id).status, kept_stages(room)) == (status, [])


@halts
def test_an_upload_that_ends_within_the_grace_is_kept(
    halt: Halt,
    status: JobStatus,
    room: ServiceRoom,
    context: WorkerContext,
    uploading: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = room.submit(steps=10_000, step_s=0.01)
    uploading.clear()
    monkeypatch.setattr("app.infra.blob_store.CHUNK_BYTES", 200)  # of some hundred
    thread = in_background(context, job)
    uploading.wait()
    halt(room, context, job)
    thread.join()
    assert (room.job(job.id).status, kept_stages(room)) == (status, [Stage.PROBE])
