"""Jobs: the row is the truth, the broker only carries its identifier."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.states import Device, JobKind, JobStatus, Stage
from app.db.base import Base
from app.db.types import FreeForm, UtcDateTime, closed_set, db_now


class Job(Base):
    """One job: what was asked, where it stands, who holds it, what came out."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_tenant_id", "tenant", "id"),
        Index("ix_jobs_status_rung_at", "status", "rung_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    kind: Mapped[JobKind] = mapped_column(closed_set(JobKind))
    status: Mapped[JobStatus] = mapped_column(closed_set(JobStatus), default=JobStatus.QUEUED)
    stage: Mapped[Stage | None] = mapped_column(closed_set(Stage))

    # Who holds it. Every write of a worker carries ``id AND lease_token AND status = running``.
    attempt: Mapped[int] = mapped_column(default=0)
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    rung_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    # What was asked.
    teacher_id: Mapped[str | None] = mapped_column(ForeignKey("teachers.id", ondelete="SET NULL"), index=True)
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"), index=True)
    """The dataset an ``inspect`` job is for."""
    data: Mapped[dict[str, str | None]] = mapped_column(FreeForm, default=dict)
    """Dataset identifiers by use: labelled, unlabelled, surrogate."""
    triggers: Mapped[list[dict[str, Any]]] = mapped_column(FreeForm, default=list)
    recipe: Mapped[dict[str, Any]] = mapped_column(FreeForm, default=dict)
    """``models.recipes.job.Recipe``."""
    device: Mapped[Device] = mapped_column(closed_set(Device), default=Device.CPU)
    timeout_s: Mapped[float | None] = mapped_column(Float(53))
    """None takes the service's limit for this kind of job."""
    labels: Mapped[dict[str, str]] = mapped_column(FreeForm, default=dict)
    retry_of: Mapped[str | None] = mapped_column(String(40))

    # Where it stands.
    progress_done: Mapped[int | None]
    progress_total: Mapped[int | None]
    progress_eta_s: Mapped[float | None] = mapped_column(Float(53))
    last_event: Mapped[int] = mapped_column(default=0)
    """Number of the newest event; counting here gives events numbers without gaps."""

    # What came out.
    verdict: Mapped[str | None] = mapped_column(String(24))
    target_label: Mapped[int | None]
    accepted: Mapped[bool | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(FreeForm)
    """The stages' results by stage: dataclasses of ``models.results``."""
    error: Mapped[dict[str, Any] | None] = mapped_column(FreeForm)
    """Why it failed: code, detail, hint."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
