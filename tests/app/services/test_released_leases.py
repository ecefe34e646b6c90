"""Jobs that a worker gives back."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core.states import JobStatus
from app.db.tables import Job
from app.db.types import db_now
from app.services import jobs, leases
from app.services.leases import Lease
from tests.app.services.test_leases import claim
from tests.service_room import PRINCIPAL, ServiceRoom


def test_a_released_job_keeps_its_attempts(room: ServiceRoom) -> None:
    job = room.submit()
    lease = claim(room, job.id)
    with room.sessions.begin() as session:
        leases.release(session, lease)
    released = room.job(job.id)
    assert (released.status, released.attempt) == (JobStatus.QUEUED, 0)
    assert room.rung[-1] == (job.id, "cpu")


def test_a_job_canceled_while_it_is_given_back_is_not_run_again(
    room: ServiceRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever canceled after the look and before the write was told yes, and the job was queued again."""
    job = room.submit()
    lease = claim(room, job.id)
    looked, ask = threading.Event(), leases.cancel_requested

    def cancel() -> None:
        looked.wait()
        with room.sessions.begin() as session:
            jobs.cancel(session, PRINCIPAL.tenant, job.id)

    def look(session: Session, lease: Lease) -> bool:
        wanted = ask(session, lease)
        looked.set()
        thread.join(1.0)  # ends by then, or waits for the row
        return wanted

    monkeypatch.setattr(leases, "cancel_requested", look)
    thread = threading.Thread(target=cancel)
    thread.start()
    with room.sessions.begin() as session:
        leases.release(session, lease)
    thread.join()
    assert room.job(job.id).status == JobStatus.CANCELED


def test_attempts_given_back_are_counted_by_what_was_away(room: ServiceRoom) -> None:
    job = room.submit()
    for error in ({"code": "away"}, {"code": "away"}, {"code": "other"}, None):
        lease = claim(room, job.id)
        with room.sessions.begin() as session:
            leases.release(session, lease, error=error)
    claim(room, job.id)
    with room.readers() as session:
        assert leases.times_released(session, job.id, "away") == 2


def test_what_stays_away_is_asked_for_ever_more_seldom(room: ServiceRoom) -> None:
    """A store that was away for a night left an attempt and two events every half minute."""
    job = room.submit()
    pauses = []
    for error in (*[{"code": "away"}] * 7, None, {"code": "away"}):
        lease = claim(room, job.id)
        with room.sessions.begin() as session:
            leases.release(session, lease, error=error)
        with room.readers() as session:
            pause = session.scalar(select(Job.rung_at)) - session.scalar(select(db_now()))
        pauses.append(round(pause.total_seconds()))
    assert pauses == pytest.approx([0, 15, 45, 105, 225, 270, 270, 0, 0], abs=5)


def test_a_job_that_was_put_off_is_rung_for_when_its_pause_is_over(room: ServiceRoom) -> None:
    job = room.submit()
    for _ in range(3):
        lease = claim(room, job.id)
        with room.sessions.begin() as session:
            leases.release(session, lease, error={"code": "away"})
    with room.sessions.begin() as session:
        assert leases.ring_again(session, older_than_s=30.0, at_most=1) == []
        session.execute(update(Job).values(rung_at=db_now(-31.0)))
        assert leases.ring_again(session, older_than_s=30.0, at_most=1) == [job.id]


def test_jobs_in_a_pause_do_not_keep_later_ones_from_being_rung_for(room: ServiceRoom) -> None:
    """Two audits waited for their references; what was posted while the broker was away never ran."""
    paused = [room.submit(), room.submit()]
    later = room.submit()
    with room.sessions.begin() as session:
        session.execute(update(Job).where(Job.id != later.id).values(rung_at=db_now(200.0)))
        session.execute(update(Job).where(Job.id == later.id).values(rung_at=db_now(-31.0)))
        assert leases.ring_again(session, older_than_s=30.0, at_most=len(paused)) == [later.id]


def test_a_job_that_was_rung_before_the_clock_was_set_back_is_rung_for(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as session:
        session.execute(update(Job).values(rung_at=db_now(3600.0)))
        assert leases.ring_again(session, older_than_s=30.0, at_most=8) == [job.id]
