"""Leases: who holds a job, for how long, and what happens when nobody does.

Every write of a worker goes through a compare-and-set on identifier, token and status. When it touches no
row, the lease is gone (reaped, or the job canceled and ended), and the worker has to stop.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session, load_only

from app.core.errors import LeaseLost
from app.core.states import EventKind, JobStatus, Outcome
from app.db.tables import Attempt, Job
from app.db.types import db_now
from app.infra import queue
from app.services import endings, events, tries

#: Beyond upkeep's pace, how long a job waits at most before it is rung for where something is still away.
PAUSE_AT_MOST_S = 270.0

CANCELED = {
    "code": "canceled",
    "detail": "The job was canceled.",
    "hint": "Retry it to go on after the stages that were finished.",
}


@dataclass(frozen=True)
class Lease:
    """One worker's hold on one job."""

    job_id: str
    token: str
    attempt: int


def claim(session: Session, job_id: str, *, worker: str, lease_s: float) -> Lease | None:
    """Take a queued job; None when another worker was first, or it is not queued any more."""
    token = secrets.token_hex(16)
    claimed = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.status == JobStatus.QUEUED)
        .values(
            status=JobStatus.RUNNING,
            attempt=Job.attempt + 1,
            lease_token=token,
            lease_until=db_now(lease_s),
            heartbeat_at=db_now(),
        )
        .returning(Job.attempt, Job.heartbeat_at)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if claimed is None:
        return None
    attempt, started_at = claimed
    session.execute(update(Job).where(Job.id == job_id, Job.started_at.is_(None)).values(started_at=db_now()))
    session.add(
        Attempt(lease_token=token, job_id=job_id, number=attempt, worker=worker[:128], started_at=started_at)
    )
    events.append(session, job_id, EventKind.STATUS, {"status": JobStatus.RUNNING, "attempt": attempt})
    return Lease(job_id, token, attempt)


def hold(session: Session, lease: Lease, **columns: Any) -> None:
    """Set columns of the job if the lease still holds; call it first in every writing transaction.

    On both databases the row stays locked until the transaction ends, so what follows is covered as well.

    Raises:
        LeaseLost: It does not; nothing was written.
    """
    _compare_and_set(session, lease, {"lease_token": lease.token, **columns})


def renew(session: Session, lease: Lease, lease_s: float) -> None:
    """Hold the job for another ``lease_s`` seconds from now.

    Raises:
        LeaseLost: Another worker has it, or nobody.
    """
    hold(session, lease, lease_until=db_now(lease_s), heartbeat_at=db_now())


def cancel_requested(session: Session, lease: Lease) -> bool:
    """Whether somebody asked to cancel the job.

    Raises:
        LeaseLost: The job is not this worker's any more.
    """
    wanted = session.scalar(select(Job.cancel_requested).where(_held(lease)))
    if wanted is None:
        raise LeaseLost(lease.job_id)
    return wanted


def spent_s(session: Session, lease: Lease) -> float:
    """Return how many seconds earlier attempts at the job took, until they ended or were last heard of.

    Those that were put off before their process was launched waited for something and computed nothing.
    """
    earlier = session.execute(
        select(Attempt.started_at, Attempt.finished_at, Attempt.error).where(
            Attempt.job_id == lease.job_id, Attempt.finished_at.is_not(None)
        )
    )
    took: list[float] = [
        (finished - started).total_seconds()
        for started, finished, error in earlier
        if finished is not None and (error or {}).get("launched", True)
    ]
    return sum(took)


def end(
    session: Session, lease: Lease, status: JobStatus, *, error: dict[str, Any] | None = None, **columns: Any
) -> None:
    """Give the job its last status and the lease back.

    Raises:
        LeaseLost: The job is not this worker's any more; nothing was written.
    """
    _compare_and_set(
        session,
        lease,
        {
            "status": status,
            "lease_token": None,
            "lease_until": None,
            "finished_at": db_now(),
            "error": error,
            **columns,
        },
    )
    _close_attempt(session, lease.token, Outcome(status.value), error)
    endings.tell(session, lease.job_id)


def release(session: Session, lease: Lease, *, error: dict[str, Any] | None = None) -> None:
    """Put the job back: this worker was told to stop, or what it needs is away. The attempt does not count.

    Args:
        session: The caller's transaction.
        lease: The hold on the job.
        error: What is away. The job is rung for by upkeep then, and not at once: each time in a row a while
            later, so that an outage of a night does not leave a thousand attempts.

    Raises:
        LeaseLost: The job is not this worker's any more.
    """
    hold(session, lease)  # before the look: who cancels from here on finds a queued job, and ends it
    if cancel_requested(session, lease):
        end(session, lease, JobStatus.CANCELED, error=CANCELED)
        return
    _compare_and_set(
        session,
        lease,
        {"status": JobStatus.QUEUED, "lease_token": None, "lease_until": None, "attempt": Job.attempt - 1},
    )
    pause_s = None if error is None else _pause_s(session, lease.job_id)
    _close_attempt(session, lease.token, Outcome.RELEASED, error)
    _queue_again(session, lease.job_id, pause_s=pause_s)


def times_released(session: Session, job_id: str, code: str) -> int:
    """Count the attempts at a job that were given back because of one thing that was away."""
    released = (Attempt.outcome == Outcome.RELEASED) & (Attempt.error["code"].as_string() == code)
    return session.scalar(select(func.count()).where(Attempt.job_id == job_id, released)) or 0


def reap(session: Session, *, max_attempts: int) -> Sequence[str]:
    """Take jobs from workers that fell silent: queue them again, or fail them after the last attempt.

    Attempts are counted by ``tries.deaths``: those since the job last came further than ever before.

    The attempt of a job that goes on ended with its last heartbeat: a machine that was off for a night
    computed nothing, and none of that night counts against the job's time limit.

    Returns:
        The jobs that were taken.
    """
    expired = and_(Job.status == JobStatus.RUNNING, Job.lease_until < db_now())
    silent = session.execute(
        select(Job.id, Job.lease_token, Job.attempt, Job.cancel_requested, Job.heartbeat_at)
        .where(expired)
        .with_for_update(skip_locked=True)
    ).all()
    for job_id, token, attempt, canceled, heard_at in silent:
        lease = Lease(job_id, str(token), attempt)
        if canceled:
            end(session, lease, JobStatus.CANCELED, error=CANCELED)
        elif (deaths := tries.deaths(session, job_id, lease.token)) >= max_attempts:
            end(session, lease, JobStatus.FAILED, error=_infrastructure(deaths))
        else:
            columns = {"status": JobStatus.QUEUED, "lease_token": None, "lease_until": None}
            _compare_and_set(session, lease, columns)
            _close_attempt(session, lease.token, Outcome.LEASE_EXPIRED, None, finished_at=heard_at)
            _queue_again(session, job_id)
    return [job_id for job_id, *_ in silent]


def ring_again(session: Session, *, older_than_s: float, at_most: int) -> Sequence[str]:
    """Ring for queued jobs that nobody claimed since they were rung: the broker may have lost the message.

    Only the oldest ``at_most`` of each queue: a worker that is busy for an hour would otherwise find its
    queue full of the same identifiers. The next ones follow as those get claimed. Jobs in a pause are passed
    over: eight audits whose references are away must not keep what came after them from being rung for.
    """
    needed = load_only(Job.kind, Job.device)  # a whole row can hold megabytes of pictures
    # No pause is longer: what was rung later than it could be was rung before the clock was set back.
    impossible = Job.rung_at > db_now(PAUSE_AT_MOST_S)
    due = (Job.rung_at <= db_now()) | Job.rung_at.is_(None) | impossible
    waiting = session.scalars(
        select(Job).where(Job.status == JobStatus.QUEUED, due).order_by(Job.id).options(needed)
    )
    by_queue: dict[str, list[Job]] = {}
    for job in waiting:
        by_queue.setdefault(queue.queue_of(job), []).append(job)
    rung = []
    for jobs in by_queue.values():
        oldest = [job.id for job in jobs[:at_most]]
        stale = (Job.rung_at < db_now(-older_than_s)) | Job.rung_at.is_(None) | impossible
        for job in session.scalars(select(Job).where(Job.id.in_(oldest), stale).options(needed)):
            queue.ring(session, job)
            rung.append(job.id)
    return rung


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(Job.id == lease.job_id, Job.lease_token == lease.token, Job.status == JobStatus.RUNNING)


def _compare_and_set(session: Session, lease: Lease, columns: dict[str, Any]) -> None:
    touched = session.execute(
        update(Job)
        .where(_held(lease))
        .values(**columns)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    ).first()
    if touched is None:
        raise LeaseLost(lease.job_id)


def _close_attempt(
    session: Session,
    token: str,
    outcome: Outcome,
    error: dict[str, Any] | None,
    *,
    finished_at: datetime | None = None,
) -> None:
    session.execute(
        update(Attempt)
        .where(Attempt.lease_token == token)
        .values(outcome=outcome, finished_at=finished_at or db_now(), error=error)
    )


def _pause_s(session: Session, job_id: str) -> float:
    """Say how much later than usual upkeep rings for a job, by how often in a row it was put off before."""
    ended = session.execute(
        select(Attempt.outcome, Attempt.error)
        .where(Attempt.job_id == job_id, Attempt.finished_at.is_not(None))
        .order_by(Attempt.started_at.desc())
        .limit(8)
    )
    put_off = takewhile(lambda attempt: attempt.outcome == Outcome.RELEASED and attempt.error, ended)
    return float(min(PAUSE_AT_MOST_S, 15.0 * (2 ** len(list(put_off)) - 1)))


def _queue_again(session: Session, job_id: str, *, pause_s: float | None = None) -> None:
    """Queue the job and ring for it; with a pause, upkeep rings so many seconds later than usual."""
    job = session.get_one(Job, job_id, populate_existing=True)
    events.append(session, job_id, EventKind.STATUS, {"status": JobStatus.QUEUED, "attempt": job.attempt})
    if pause_s is None:
        queue.ring(session, job)
    else:
        job.rung_at = db_now(pause_s)


def _infrastructure(attempts: int) -> dict[str, Any]:
    return {
        "code": "infrastructure",
        "detail": f"The worker disappeared in {attempts} attempts, and the job came no further in between.",
        "hint": "Retry the job; if it fails again, look at the worker's log and at the memory it had.",
    }
