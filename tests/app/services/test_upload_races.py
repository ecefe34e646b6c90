"""Somebody deletes an upload while somebody else submits a job that needs it: one of them is told.

On PostgreSQL only: writers on SQLite come one after the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import text

from app.core.errors import Conflict, Invalid
from app.core.states import DatasetRole, JobKind, JobStatus, UploadStatus
from app.db.tables import Job, Teacher
from app.services import datasets, jobs, teachers
from app.services.job_request import JobRequest
from tests.service_room import PRINCIPAL, ServiceRoom

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

DELETE = {"teacher": teachers.delete, "dataset": datasets.delete}


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def wait_for_lock(room: ServiceRoom, other: Future[object]) -> None:
    """Go on when the other transaction waits for ours, or has not waited."""
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    deadline = time.monotonic() + 30
    with room.engine.connect() as connection:
        while not other.done() and not connection.scalar(query):
            assert time.monotonic() < deadline
            threading.Event().wait(0.02)


def make_uploads(room: ServiceRoom) -> dict[str, str]:
    teacher = room.make_teacher()
    with room.sessions.begin() as session:
        stored = room.store(b"zip")
        dataset, _ = datasets.receive(
            session, PRINCIPAL, stored, filename="x.zip", role=DatasetRole.SURROGATE
        )
        session.delete(session.get_one(Job, dataset.job_id))
        dataset.job_id, dataset.status = None, UploadStatus.READY
    return {"teacher": teacher.id, "dataset": dataset.id}


def deleting(room: ServiceRoom, what: str, upload_id: str) -> Callable[[], None]:
    def delete() -> None:
        with room.sessions.begin() as session:
            DELETE[what](session, PRINCIPAL.tenant, upload_id)

    return delete


@pytest.mark.parametrize("what", DELETE)
def test_what_a_job_just_submitted_needs_is_not_deleted(
    what: str, room: ServiceRoom, beside: ThreadPoolExecutor
) -> None:
    uploads = make_uploads(room)
    with room.sessions.begin() as session:
        request = JobRequest(JobKind.AUDIT, uploads["teacher"], surrogate_id=uploads["dataset"])
        jobs.submit(session, PRINCIPAL, request)
        deleted = beside.submit(deleting(room, what, uploads[what]))
        wait_for_lock(room, deleted)
    with pytest.raises(Conflict) as caught:
        deleted.result()
    assert caught.value.code == "upload_in_use"


@pytest.mark.parametrize("what", DELETE)
def test_what_was_just_deleted_is_missing(what: str, room: ServiceRoom, beside: ThreadPoolExecutor) -> None:
    uploads = make_uploads(room)

    def submit() -> None:
        with room.sessions.begin() as session:
            request = JobRequest(JobKind.AUDIT, uploads["teacher"], surrogate_id=uploads["dataset"])
            jobs.submit(session, PRINCIPAL, request)

    with room.sessions.begin() as session:
        DELETE[what](session, PRINCIPAL.tenant, uploads[what])
        session.flush()
        submitted = beside.submit(submit)
        wait_for_lock(room, submitted)
    with pytest.raises(Invalid, match="missing") as caught:
        submitted.result()
    pointer = {"teacher": "/teacher", "dataset": "/data/surrogate"}[what]
    assert [error.pointer for error in caught.value.errors] == [pointer]


def canceled_job(room: ServiceRoom, uploads: dict[str, str]) -> str:
    """Return a job that used both uploads and may be retried."""
    with room.sessions.begin() as session:
        request = JobRequest(JobKind.AUDIT, uploads["teacher"], surrogate_id=uploads["dataset"])
        job = jobs.submit(session, PRINCIPAL, request)
    with room.sessions.begin() as session:
        jobs.cancel(session, PRINCIPAL.tenant, job.id)
    return job.id


@pytest.mark.parametrize("what", DELETE)
def test_what_a_retry_needs_is_not_deleted(what: str, room: ServiceRoom, beside: ThreadPoolExecutor) -> None:
    uploads = make_uploads(room)
    job_id = canceled_job(room, uploads)
    with room.sessions.begin() as session:
        assert jobs.retry(session, PRINCIPAL.tenant, job_id).status == JobStatus.QUEUED
        deleted = beside.submit(deleting(room, what, uploads[what]))
        wait_for_lock(room, deleted)
    with pytest.raises(Conflict):
        deleted.result()


def test_an_upload_rejected_twice_at_once_is_replaced_once(
    room: ServiceRoom, beside: ThreadPoolExecutor
) -> None:
    stored = room.store(b"weights")

    def receive() -> tuple[Teacher, bool]:
        with room.sessions.begin() as session:
            return teachers.receive(session, PRINCIPAL, stored, filename="t.pt", declared={})

    rejected, _ = receive()
    with room.sessions.begin() as session:
        row = session.get_one(Teacher, rejected.id)
        session.delete(session.get_one(Job, row.job_id))
        row.job_id, row.status = None, UploadStatus.REJECTED
    with room.sessions.begin() as session:
        first, _ = teachers.receive(session, PRINCIPAL, stored, filename="t.pt", declared={})
        session.flush()
        again = beside.submit(receive)
        wait_for_lock(room, again)
    second, new = again.result()
    assert (second.id, new) == (first.id, False)


@pytest.mark.parametrize("what", DELETE)
def test_a_job_whose_upload_is_gone_is_not_retried(what: str, room: ServiceRoom) -> None:
    uploads = make_uploads(room)
    job_id = canceled_job(room, uploads)
    deleting(room, what, uploads[what])()
    with room.sessions.begin() as session, pytest.raises(Conflict, match=what) as caught:
        jobs.retry(session, PRINCIPAL.tenant, job_id)
    assert caught.value.code == "job_not_retryable"
