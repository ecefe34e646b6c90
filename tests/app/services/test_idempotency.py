from __future__ import annotations

import threading

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.core.errors import Conflict, Invalid
from app.core.states import JobKind
from app.db.tables import IdempotencyKey, Job
from app.services import idempotency, jobs
from app.services.job_request import JobRequest
from tests.service_room import PRINCIPAL, ServiceRoom


def remember(session: Session, key: str = "key", request: str = "a" * 64) -> None:
    idempotency.remember(session, "tenant", key, request, status=202, headers={"Location": "/x"}, body="{}")


def test_an_answer_is_given_again(room: ServiceRoom) -> None:
    with room.sessions.begin() as session:
        remember(session)
    with room.readers() as session:
        kept = idempotency.look_up(session, "tenant", "key", "a" * 64)
    assert kept is not None
    assert (kept.response_status, kept.response_headers, kept.response_body) == (
        202,
        {"Location": "/x"},
        "{}",
    )


def test_the_same_key_of_another_tenant_is_new(room: ServiceRoom) -> None:
    with room.sessions.begin() as session:
        remember(session)
        assert idempotency.look_up(session, "other", "key", "b" * 64) is None


def test_another_request_under_the_same_key_is_refused(room: ServiceRoom) -> None:
    with room.sessions.begin() as session:
        remember(session)
        with pytest.raises(Invalid) as caught:
            idempotency.look_up(session, "tenant", "key", "b" * 64)
    assert caught.value.code == "idempotency_key_reused"


def test_of_many_requests_at_once_under_one_key_one_makes_a_job(room: ServiceRoom) -> None:
    teacher = room.make_teacher()
    start = threading.Barrier(6)
    conflicts = []

    def request() -> None:
        start.wait()
        try:
            with room.sessions.begin() as session:
                if idempotency.look_up(session, "tenant", "key", "a" * 64) is None:
                    jobs.submit(session, PRINCIPAL, JobRequest(JobKind.AUDIT, teacher.id))
                    remember(session)
        except Conflict as conflict:
            conflicts.append(conflict.code)

    threads = [threading.Thread(target=request) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with room.readers() as session:
        assert len(session.scalars(select(Job)).all()) == 1
    assert set(conflicts) <= {"idempotency_key_in_use"}


def test_answers_are_forgotten_after_a_day(room: ServiceRoom) -> None:
    with room.sessions.begin() as session:
        remember(session, "old")
        session.execute(text("UPDATE idempotency_keys SET expires_at = created_at"))
        remember(session, "new")
        idempotency.expire(session)
        assert list(session.scalars(select(IdempotencyKey.key))) == ["new"]


def test_an_expired_key_can_be_used_again(room: ServiceRoom) -> None:
    with room.sessions.begin() as session:
        remember(session)
        session.execute(text("UPDATE idempotency_keys SET expires_at = created_at"))
        session.expire_all()
        assert idempotency.look_up(session, "tenant", "key", "b" * 64) is None
        remember(session, request="b" * 64)
