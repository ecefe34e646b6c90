"""A job's row can hold megabytes, pictures and a result: who needs little of it reads little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from app.core.errors import NotFound
from app.core.states import JobKind, JobStatus
from app.db.tables import Job
from app.services import jobs, leases
from app.services.job_request import JobRequest
from tests.service_room import PRINCIPAL, ServiceRoom

PICTURE = "iVBORw0KGgo" + "A" * 1000


@contextmanager
def statements(room: ServiceRoom) -> Iterator[list[str]]:
    said: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(room.engine, "before_cursor_execute", note)
    yield said
    event.remove(room.engine, "before_cursor_execute", note)


def submit(room: ServiceRoom, *triggers: dict[str, Any]) -> Job:
    teacher = room.make_teacher()
    with room.sessions.begin() as session:
        return jobs.submit(session, PRINCIPAL, JobRequest(JobKind.AUDIT, teacher.id, triggers=triggers))


def test_a_list_shows_triggers_in_their_order_without_their_pictures(room: ServiceRoom) -> None:
    named = [{"name": name, "target_label": label} for label, name in enumerate(("b", "a", "c"))]
    submit(room, *({**trigger, "png": PICTURE} for trigger in named))
    submit(room)
    with room.readers() as session:
        page = jobs.page(session, PRINCIPAL.tenant)
    assert [job.triggers for job in page.rows] == [[], named]


def test_a_job_by_itself_keeps_its_pictures(room: ServiceRoom) -> None:
    job = submit(room, {"name": "a", "target_label": 1, "png": PICTURE})
    with room.readers() as session:
        assert jobs.get(session, PRINCIPAL.tenant, job.id).triggers[0]["png"] == PICTURE


def test_asking_for_the_status_reads_only_that(room: ServiceRoom) -> None:
    job = submit(room)
    with room.readers() as session, statements(room) as said:
        assert jobs.status_of(session, PRINCIPAL.tenant, job.id) == JobStatus.QUEUED
    assert "SELECT jobs.status" in said[-1] and "," not in said[-1].partition("FROM")[0]
    for tenant, job_id in (("other", job.id), (PRINCIPAL.tenant, "job_missing")):
        with room.readers() as session, pytest.raises(NotFound):
            jobs.status_of(session, tenant, job_id)


def test_ringing_again_reads_neither_pictures_nor_results(room: ServiceRoom) -> None:
    job = submit(room)
    with room.sessions.begin() as session, statements(room) as said:
        assert leases.ring_again(session, older_than_s=-1, at_most=8) == [job.id]
    read = [statement for statement in said if statement.startswith("SELECT")]
    assert len(read) == 2
    assert not [statement for statement in read if "jobs.triggers" in statement or "jobs.result" in statement]
