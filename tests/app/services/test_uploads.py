from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from app.core.errors import Conflict, NotFound
from app.core.states import DatasetRole, JobKind, JobStatus, UploadStatus
from app.db.tables import Job, Teacher
from app.services import blob_references, datasets, jobs, leases, teachers
from app.services.job_request import JobRequest
from tests.service_room import PRINCIPAL, ServiceRoom


def receive(room: ServiceRoom, content: bytes = b"weights", **declared: object) -> tuple[Teacher, bool]:
    with room.sessions.begin() as session:
        stored = room.store(content)
        return teachers.receive(session, PRINCIPAL, stored, filename="t.pt", declared=declared)


def blob_of(room: ServiceRoom, teacher: Teacher) -> Path:
    path = room.blobs.path(teacher.sha256)
    assert path is not None
    return path


def reject(room: ServiceRoom, teacher: Teacher) -> None:
    with room.sessions.begin() as session:
        lease = leases.claim(session, str(teacher.job_id), worker="w", lease_s=60)
        assert lease is not None
        leases.end(session, lease, JobStatus.FAILED, error={"code": "bad", "detail": "d", "hint": "h"})


def test_an_upload_is_inspected(room: ServiceRoom) -> None:
    teacher, new = receive(room)
    assert new and teacher.status == UploadStatus.INSPECTING
    assert room.rung == [(teacher.job_id, "inspect")]


def test_the_same_upload_again_is_the_same_teacher(room: ServiceRoom) -> None:
    first, _ = receive(room, architecture="wrn-16-1")
    second, new = receive(room, architecture="wrn-16-1", num_classes=None)
    assert (second.id, new) == (first.id, False)
    assert len(room.rung) == 1


def test_the_same_bytes_declared_otherwise_are_another_teacher(room: ServiceRoom) -> None:
    first, _ = receive(room, architecture="wrn-16-1")
    second, new = receive(room, architecture="wrn-16-2")
    assert new and second.id != first.id


def test_a_failed_inspection_rejects_the_upload(room: ServiceRoom) -> None:
    teacher, _ = receive(room)
    reject(room, teacher)
    with room.readers() as session:
        rejected = teachers.get(session, PRINCIPAL.tenant, teacher.id)
    assert (rejected.status, rejected.error) == (
        UploadStatus.REJECTED,
        {"code": "bad", "detail": "d", "hint": "h"},
    )


def test_a_rejected_upload_can_be_tried_again(room: ServiceRoom) -> None:
    first, _ = receive(room)
    reject(room, first)
    second, new = receive(room)
    assert new and second.id != first.id
    assert blob_of(room, second).exists()


def test_deleting_deletes_row_and_inspection(room: ServiceRoom) -> None:
    teacher, _ = receive(room)
    reject(room, teacher)
    with room.sessions.begin() as session:
        teachers.delete(session, PRINCIPAL.tenant, teacher.id)
    with room.readers() as session:
        assert session.scalars(select(Job)).all() == []
        assert blob_references.referenced(session) == set()
        with pytest.raises(NotFound):
            teachers.get(session, PRINCIPAL.tenant, teacher.id)


def test_deleting_leaves_the_bytes_to_the_sweep(room: ServiceRoom) -> None:
    """Another tenant's upload may just have put the same ones in place, and not have committed its row."""
    teacher = room.make_teacher()
    with room.sessions.begin() as session:
        teachers.delete(session, PRINCIPAL.tenant, teacher.id)
    assert blob_of(room, teacher).exists()


def test_a_teacher_that_a_live_job_uses_is_not_deleted(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as session, pytest.raises(Conflict) as caught:
        teachers.delete(session, PRINCIPAL.tenant, str(job.teacher_id))
    assert caught.value.code == "upload_in_use"


def test_a_finished_job_outlives_its_teacher(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as session:
        jobs.cancel(session, PRINCIPAL.tenant, job.id)
    with room.sessions.begin() as session:
        teachers.delete(session, PRINCIPAL.tenant, str(job.teacher_id))
    assert room.job(job.id).teacher_id is None


def test_a_dataset_that_a_live_job_uses_is_not_deleted(room: ServiceRoom) -> None:
    teacher = room.make_teacher()
    with room.sessions.begin() as session:
        dataset, _ = datasets.receive(
            session,
            PRINCIPAL,
            room.store(b"zip"),
            filename="x.zip",
            role=DatasetRole.SURROGATE,
        )
        session.delete(session.get_one(Job, dataset.job_id))
        dataset.job_id, dataset.status = None, UploadStatus.READY
        request = JobRequest(JobKind.AUDIT, teacher.id, surrogate_id=dataset.id)
        jobs.submit(session, PRINCIPAL, request)
    with room.sessions.begin() as session, pytest.raises(Conflict):
        datasets.delete(session, PRINCIPAL.tenant, dataset.id)


def test_the_same_archive_in_another_role_is_another_dataset(room: ServiceRoom) -> None:
    made = []
    for role in (DatasetRole.SURROGATE, DatasetRole.CLEAN_UNLABELLED, DatasetRole.SURROGATE):
        with room.sessions.begin() as session:
            stored = room.store(b"zip")
            made.append(datasets.receive(session, PRINCIPAL, stored, filename="x.zip", role=role))
    assert [new for _, new in made] == [True, True, False]
    assert made[0][0].id == made[2][0].id


def test_another_tenants_upload_is_not_there(room: ServiceRoom) -> None:
    teacher = room.make_teacher()
    with room.readers() as session:
        with pytest.raises(NotFound) as foreign:
            teachers.get(session, "other", teacher.id)
        with pytest.raises(NotFound) as missing:
            teachers.get(session, "other", "tch_missing")
    assert str(foreign.value) == str(missing.value)


def test_pages_go_from_new_to_old_without_overlap(room: ServiceRoom) -> None:
    made = [receive(room, str(number).encode())[0].id for number in range(3)]
    with room.readers() as session:
        first = teachers.page(session, PRINCIPAL.tenant, limit=2)
        second = teachers.page(session, PRINCIPAL.tenant, after=first.rows[-1].id, limit=2)
    assert [row.id for row in first.rows + second.rows] == sorted(made, reverse=True)
    assert (first.has_more, second.has_more) == (True, False)
