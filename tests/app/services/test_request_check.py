"""What a job request names is looked up when the job is asked for."""

from __future__ import annotations

import pytest

from app.core.errors import Conflict, Invalid
from app.core.states import DatasetRole, JobKind, UploadStatus
from app.db.tables import Teacher
from app.services.job_request import JobRequest
from tests.service_room import ServiceRoom


def test_a_missing_teacher_is_named_by_its_place(room: ServiceRoom) -> None:
    with pytest.raises(Invalid) as caught:
        room.ask(JobRequest(JobKind.AUDIT, "tch_missing"))
    assert [(error.pointer, error.detail) for error in caught.value.errors] == [
        ("/teacher", "there is no such teacher")
    ]


def test_all_faults_are_told_at_once(room: ServiceRoom) -> None:
    teacher = room.make_teacher()
    dataset = room.make_dataset(DatasetRole.SURROGATE)
    request = JobRequest(
        JobKind.AUDIT,
        teacher.id,
        labelled_id=dataset.id,
        unlabelled_id="ds_missing",
        triggers=[{"target_label": 0, "catalog": "rin"}, {"target_label": 10, "catalog": "ring"}],
    )
    with pytest.raises(Invalid) as caught:
        room.ask(request)
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
        room.ask(JobRequest(JobKind.AUDIT, teacher.id))
    assert caught.value.code == "upload_not_ready"


def test_a_rejected_teacher_says_why(room: ServiceRoom) -> None:
    teacher = room.make_teacher()
    with room.sessions.begin() as session:
        row = session.get_one(Teacher, teacher.id)
        row.status, row.error = UploadStatus.REJECTED, {"detail": "It is empty."}
    with pytest.raises(Invalid) as caught:
        room.ask(JobRequest(JobKind.AUDIT, teacher.id))
    assert "It is empty." in caught.value.errors[0].detail


def small_teacher(room: ServiceRoom) -> Teacher:
    teacher = room.make_teacher()
    with room.sessions.begin() as session:
        row = session.get_one(Teacher, teacher.id)
        row.inspection = {"architecture": {"name": "wrn-10-1", "num_classes": 10}}
    return teacher


@pytest.mark.parametrize("kind", [JobKind.CLEAN, JobKind.DISTILL])
def test_the_smallest_teacher_needs_a_student_by_name(room: ServiceRoom, kind: JobKind) -> None:
    request = JobRequest(kind, small_teacher(room).id)
    with pytest.raises(Invalid) as caught:
        room.ask(request)
    (error,) = caught.value.errors
    assert error.pointer == "/recipe/student/architecture"
    assert error.detail.startswith("There is no network smaller than wrn-10-1.")
    named = {"student": {"architecture": "wrn-10-1"}}
    assert room.ask(JobRequest(kind, request.teacher_id, recipe=named)).id


@pytest.mark.parametrize("kind", [JobKind.AUDIT, JobKind.PROTECT])
def test_jobs_without_a_smaller_student_take_the_smallest_teacher(room: ServiceRoom, kind: JobKind) -> None:
    assert room.ask(JobRequest(kind, small_teacher(room).id)).id
