"""What happened to jobs, in order."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.states import EventKind
from app.db.base import Base
from app.db.types import FreeForm, UtcDateTime, closed_set, db_now


class Event(Base):
    """One event of a job, numbered 1, 2, 3 ... within it."""

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(
        String(40), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[EventKind] = mapped_column(closed_set(EventKind))
    data: Mapped[dict[str, Any]] = mapped_column(FreeForm)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
