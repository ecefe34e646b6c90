"""What follows when a job has ended, whoever ended it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.core.states import EventKind, JobStatus
from app.db.tables import Job
from app.services import events, uploads


def tell(session: Session, job_id: str) -> None:
    """Append the last events of a job whose row has just become terminal, and reject a failed upload.

    The row is read again: it was changed by a compare-and-set statement.
    """
    job = session.get_one(Job, job_id, populate_existing=True)
    if job.status != JobStatus.SUCCEEDED and job.error is not None:
        uploads.reject(session, job, job.error)
    events.append(session, job_id, EventKind.STATUS, {"status": job.status, "attempt": job.attempt})
    events.append(
        session,
        job_id,
        EventKind.DONE,
        {"status": job.status, "verdict": job.verdict, "accepted": job.accepted, "error": job.error},
    )
