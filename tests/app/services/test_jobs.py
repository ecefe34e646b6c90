from __future__ import annotations

import pytest

from app.core.errors import Conflict, Invalid, NotFound
from app.core.states import DatasetRole, JobKind, JobStatus, UploadStatus
from app.db.tables import Dataset, Job, Teacher
from app.services import datasets, events, jobs, leases
from app.services.job_request import JobRequest
from tests.service_room import PRINCIPAL, ServiceRoom


def submit(room: ServiceRoom, request: JobRequest) -> Job:
    with room.sessions.begin() as session:
        return jobs.submit(session, PRINCIPAL, request)


def make_dataset(room: ServiceRoom, role: DatasetRole) -> Dataset:
    with room.sessions.begin() as session:
        stored = room.store(b"zip")
        dataset, _ = datasets.receive(session, PRINCIPAL, stored, filename="x.zip", role=role)
        dataset.status = UploadStatus.READY
        return dataset


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


def test_a_missing_teacher_is_named_by_its_place(room: ServiceRoom) -> None:
    with pytest.raises(Invalid) as caught:
        submit(room, JobRequest(JobKind.AUDIT, "tch_missing"))
    assert [(error.pointer, error.detail) for error in caught.value.errors] == [
        ("/teacher", "there is no such teacher")
    ]


def test_all_faults_are_told_at_once(room: ServiceRoom) -> None:
    teacher = room.make_teacher()
    dataset = make_dataset(room, DatasetRole.SURROGATE)
    request = JobRequest(
        JobKind.AUDIT,
        teacher.id,
        labelled_id=dataset.id,
        unlabelled_id="ds_missing",
        triggers=[{"target_label": 0, "catalog": "rin"}, {"target_label": 10, "catalog": "ring"}],
    )
    with pytest.raises(Invalid) as caught:
        submit(room, request)
    assert [error.pointer for error in caught.value.errors] == [
        "/data/labelled",
        "/data/unlabelled",
        "/triggers/0/catalog",
        "/triggers/1/target_label",
    ]
    assert "badnets_square" in caught.value.errors[2].detail


def test_a_teacher_that_is_being_inspected_has_to_be_waited_for(room: ServiceRoom) -> None:
    teacher = room.make_teacher()
    with room.sessions.begin() as session:
        session.get_one(Teacher, teacher.id).status = UploadStatus.INSPECTING
    with pytest.raises(Conflict) as caught:
        submit(room, JobRequest(JobKind.AUDIT, teacher.id))
    assert caught.value.code == "upload_not_ready"


def test_a_rejected_teacher_says_why(room: ServiceRoom) -> None:
    teacher = room.make_teacher()
    with room.sessions.begin() as session:
        row = session.get_one(Teacher, teacher.id)
        row.status, row.error = UploadStatus.REJECTED, {"detail": "It is empty."}
    with pytest.raises(Invalid) as caught:
        submit(room, JobRequest(JobKind.AUDIT, teacher.id))
    assert "It is empty." in caught.value.errors[0].detail


def test_another_tenants_job_is_not_there(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as session:
        for use in (jobs.get, jobs.cancel, jobs.retry):
            with pytest.raises(NotFound):
                use(session, "other", job.id)


def test_lists_can_be_narrowed(room: ServiceRoom) -> None:
    teacher = room.make_teacher()
    audit = submit(room, JobRequest(JobKind.AUDIT, teacher.id, labels={"team": "red", "odd'key": "x"}))
    clean = submit(room, JobRequest(JobKind.CLEAN, teacher.id, labels={"team": "blue"}))
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
    make_dataset(room, DatasetRole.SURROGATE)
    with room.readers() as session:
        assert jobs.page(session, PRINCIPAL.tenant).rows == []
        assert len(jobs.page(session, PRINCIPAL.tenant, kind=JobKind.INSPECT).rows) == 1


def test_a_queued_job_is_canceled_at_once(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as session:
        canceled = jobs.cancel(session, PRINCIPAL.tenant, job.id)
        assert canceled.status == JobStatus.CANCELED and canceled.finished_at is not None
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
    dataset = make_dataset(room, DatasetRole.SURROGATE)
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
