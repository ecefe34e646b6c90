"""Events of jobs: appended in order, read by number."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core.states import EventKind
from app.db.tables import Event, Job


def append(session: Session, job_id: str, kind: EventKind, data: dict[str, Any]) -> int:
    """Add an event and return its number.

    Counting in the job's row makes concurrent writers wait for each other, so that whoever reads number n
    has read, or can read, all numbers before it.
    """
    seq = session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(last_event=Job.last_event + 1)
        .returning(Job.last_event)
        .execution_options(synchronize_session=False)
    ).scalar_one()
    session.add(Event(job_id=job_id, seq=seq, kind=kind, data=data))
    return seq


def page(session: Session, job_id: str, after_seq: int = 0, limit: int = 100) -> list[Event]:
    """Return the first ``limit`` events after number ``after_seq``, oldest first."""
    return list(
        session.scalars(
            select(Event)
            .where(Event.job_id == job_id, Event.seq > after_seq)
            .order_by(Event.seq)
            .limit(limit)
        )
    )
