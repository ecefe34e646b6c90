"""How often a worker may die on a job: a few times in a row without the job getting further.

A job of many hours on machines that are taken away every hour gets done, since what it keeps is kept for
good; a job that kills its workers at one place ends. How far it ever was is compared, not whether it kept
something: on another host, where there is no state to resume from, it comes through the same places again.
"""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core.states import STAGES, JobKind, Outcome, Stage
from app.db.tables import Attempt


def place_of(kind: JobKind, stage: Stage, share: float) -> float:
    """Say how far a job is that has durably done a share of a stage.

    Args:
        kind: Of the job.
        stage: One of the kind's.
        share: From 0 to 1.

    Returns:
        Finished stages, and the share of the next one.
    """
    return STAGES[kind].index(stage) + share


def reach(session: Session, token: str, place: float) -> None:
    """Keep how far an attempt came, for one who holds its lease; less than before changes nothing."""
    session.execute(
        update(Attempt)
        .where(Attempt.lease_token == token, Attempt.reached.is_(None) | (Attempt.reached < place))
        .values(reached=place)
    )


def deaths(session: Session, job_id: str, token: str) -> int:
    """Count the workers that died on a job since it last came further than ever before.

    Args:
        session: The caller's.
        job_id: The job.
        token: Of the attempt whose worker fell silent just now.

    Returns:
        At least 1: that of ``token`` counts, also if it came further.
    """
    attempts = session.execute(
        select(Attempt.lease_token, Attempt.outcome, Attempt.reached)
        .where(Attempt.job_id == job_id)
        .order_by(Attempt.started_at)
    )
    count, furthest = 0, 0.0
    for each, outcome, reached in attempts:
        if reached is not None and reached > furthest:
            count, furthest = 0, reached
        if outcome == Outcome.LEASE_EXPIRED or each == token:
            count += 1
    return count
