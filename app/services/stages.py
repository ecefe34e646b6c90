"""Stages of a running job: begun, told about, finished. All writes hold the lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.core.states import EventKind, Stage
from app.db.tables import Job, Metric, StageOutput
from app.services import events, leases, tries
from app.services.leases import Lease


@dataclass(frozen=True)
class StageFile:
    """A file that a stage left, already a blob."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Position:
    """How far a stage is."""

    stage: Stage
    done: int
    total: int
    eta_s: float | None
    scalars: Mapping[str, float]


@dataclass(frozen=True)
class MetricPoint:
    """One point of one curve."""

    stage: Stage
    series: str
    step: int
    value: float


def finished(session: Session, job_id: str) -> list[StageOutput]:
    """Return what the finished stages left."""
    return list(session.scalars(select(StageOutput).where(StageOutput.job_id == job_id)))


def begin(session: Session, lease: Lease, stage: Stage) -> None:
    """Tell that a stage begins.

    Raises:
        LeaseLost: Nothing was written; this holds for every function here.
    """
    leases.hold(session, lease, stage=stage, progress_done=None, progress_total=None, progress_eta_s=None)
    events.append(session, lease.job_id, EventKind.STAGE, {"stage": stage, "attempt": lease.attempt})


def advance(session: Session, lease: Lease, position: Position) -> None:
    """Tell how far the stage is."""
    leases.hold(
        session,
        lease,
        progress_done=position.done,
        progress_total=position.total,
        progress_eta_s=position.eta_s,
    )
    events.append(session, lease.job_id, EventKind.PROGRESS, asdict(position))


def log(session: Session, lease: Lease, stage: Stage | None, text: str) -> None:
    """Pass on a line for people."""
    leases.hold(session, lease)
    events.append(session, lease.job_id, EventKind.LOG, {"stage": stage, "text": text})


def record(session: Session, lease: Lease, points: Sequence[MetricPoint]) -> None:
    """Write points of curves; one that is there is written over (a resumed stage repeats some)."""
    leases.hold(session, lease)
    write_points(session, lease.job_id, points)
    for point in points:
        events.append(session, lease.job_id, EventKind.METRIC, asdict(point))


def keep(session: Session, lease: Lease, stage: Stage, share: float) -> None:
    """Note that the job can be resumed with a share of a stage done, from 0 to 1."""
    leases.hold(session, lease)
    _reach(session, lease, stage, share)


def finish(
    session: Session, lease: Lease, stage: Stage, result: Mapping[str, Any], files: Sequence[StageFile]
) -> None:
    """Keep what a stage left, so that it need not be done again."""
    leases.hold(session, lease)
    session.merge(
        StageOutput(
            job_id=lease.job_id,
            stage=stage,
            attempt=lease.attempt,
            result=dict(result),
            files=[asdict(file) for file in files],
        )
    )
    _reach(session, lease, stage, 1.0)


def write_points(session: Session, job_id: str, points: Sequence[MetricPoint]) -> None:
    """Insert or replace points; of two with the same place in one call the later counts."""
    rows = {(point.stage, point.series, point.step): point for point in points}
    if not rows:
        return
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(Metric)
    upsert = insert.on_conflict_do_update(
        index_elements=[Metric.job_id, Metric.stage, Metric.series, Metric.step],
        set_={"value": insert.excluded.value},
    )
    session.execute(upsert, [{"job_id": job_id, **asdict(point)} for point in rows.values()])


def _reach(session: Session, lease: Lease, stage: Stage, share: float) -> None:
    kind = session.scalars(select(Job.kind).where(Job.id == lease.job_id)).one()
    tries.reach(session, lease.token, tries.place_of(kind, stage, share))
