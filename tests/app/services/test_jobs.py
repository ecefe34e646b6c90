from __future__ import annotations

import pytest

from app.core.errors import Conflict, NotFound
from app.core.states import DatasetRole, JobKind, JobStatus
from app.services import events, jobs, leases
from app.services.job_request import JobRequest
from tests.service_room import PRINCIPAL, ServiceRoom


def test_a_submitted_job_waits_and_is_rung_for(room: ServiceRoom) -> None:
    job = room.submit()
    assert job.status == JobStatus.QUEUED
    assert room.rung == [(job.id, "cpu")]


def test_a_job_that_is_not_committed_is_not_rung_for(room: ServiceRoom) -> None:
    teacher = room.make_teacher()
    with room.sessions() as session:
        jobs.submit(session, PRINCIPAL, JobRequest(JobKind.AUDIT, teacher.id))
        session.rollback()
    assert room.rung == []


def test_another_tenants_job_is_not_there(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as session:
        for use in (jobs.get, jobs.cancel, jobs.retry):
            with pytest.raises(NotFound):
                use(session, "other", job.id)


def test_lists_can_be_narrowed(room: ServiceRoom) -> None:
    teacher = room.make_teacher()
    audit = room.ask(JobRequest(JobKind.AUDIT, teacher.id, labels={"team": "red", "odd'key": "x"}))
    clean = room.ask(JobRequest(JobKind.CLEAN, teacher.id, labels={"team": "blue"}))
    with room.sessions.begin() as session:
        jobs.cancel(session, PRINCIPAL.tenant, clean.id)

        def found(**criteria: object) -> list[str]:
            return [job.id for job in jobs.page(session, PRINCIPAL.tenant, **criteria).rows]

        assert found() == [clean.id, audit.id]
        assert found(kind=JobKind.AUDIT) == [audit.id]
        assert found(status=JobStatus.CANCELED) == [clean.id]
        assert found(label=("team", "red")) == [audit.id]
        assert found(label=("odd'key", "x")) == [audit.id]
        assert found(label=("team", "green")) == []


def test_inspections_are_listed_only_when_asked_for(room: ServiceRoom) -> None:
    room.make_dataset(DatasetRole.SURROGATE)
    with room.readers() as session:
        assert jobs.page(session, PRINCIPAL.tenant).rows == []
        assert len(jobs.page(session, PRINCIPAL.tenant, kind=JobKind.INSPECT).rows) == 1


def test_a_queued_job_is_canceled_at_once(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as session:
        canceled = jobs.cancel(session, PRINCIPAL.tenant, job.id)
        assert canceled.status == JobStatus.CANCELED and canceled.finished_at is not None
        assert canceled.error == leases.CANCELED, "as that of one which was canceled while it ran"
        assert events.page(session, job.id)[-1].kind == "done"
        assert leases.claim(session, job.id, worker="w", lease_s=60) is None


def test_canceling_a_finished_job_changes_nothing(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as session:
        first = jobs.cancel(session, PRINCIPAL.tenant, job.id).finished_at
    with room.sessions.begin() as session:
        assert jobs.cancel(session, PRINCIPAL.tenant, job.id).finished_at == first
        assert len(events.page(session, job.id)) == 3


def test_an_inspection_cannot_be_canceled(room: ServiceRoom) -> None:
    dataset = room.make_dataset(DatasetRole.SURROGATE)
    with room.sessions.begin() as session, pytest.raises(Conflict) as caught:
        jobs.cancel(session, PRINCIPAL.tenant, str(dataset.job_id))
    assert caught.value.code == "job_not_cancelable"


def test_a_job_that_has_not_ended_cannot_be_retried(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as session, pytest.raises(Conflict) as caught:
        jobs.retry(session, PRINCIPAL.tenant, job.id)
    assert caught.value.code == "job_not_finished"


def test_a_retry_asks_for_the_same(room: ServiceRoom) -> None:
    job = room.submit(seed=7)
    with room.sessions.begin() as session:
        jobs.cancel(session, PRINCIPAL.tenant, job.id)
        again = jobs.retry(session, PRINCIPAL.tenant, job.id)
    assert (again.kind, again.recipe, again.retry_of) == (job.kind, {"seed": 7}, job.id)
    assert again.status == JobStatus.QUEUED
    assert room.rung[-1] == (again.id, "cpu")


def test_events_are_read_from_where_one_was(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as session:
        jobs.cancel(session, PRINCIPAL.tenant, job.id)
    with room.readers() as session:
        assert [event.seq for event in events.page(session, job.id, after_seq=1)] == [2, 3]
        assert [event.seq for event in events.page(session, job.id, limit=1)] == [1]
