"""Attempts at jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.states import Outcome
from app.db.base import Base
from app.db.types import FreeForm, UtcDateTime, closed_set, db_now


class Attempt(Base):
    """One worker's hold on a job. A released one (the worker was told to stop) does not count."""

    __tablename__ = "attempts"

    lease_token: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    number: Mapped[int]
    worker: Mapped[str] = mapped_column(String(128))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome: Mapped[Outcome | None] = mapped_column(closed_set(Outcome))
    reached: Mapped[float | None] = mapped_column(Float(53))
    """How far the job durably was, as of ``app.services.tries.place_of``; None where nothing was kept."""
    error: Mapped[dict[str, Any] | None] = mapped_column(FreeForm)
