"""What finished stages left, so that another attempt need not do them again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.states import Stage
from app.db.base import Base
from app.db.types import FreeForm, UtcDateTime, closed_set, db_now


class StageOutput(Base):
    """The result and files of one finished stage."""

    __tablename__ = "stage_outputs"

    job_id: Mapped[str] = mapped_column(
        String(40), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    stage: Mapped[Stage] = mapped_column(closed_set(Stage), primary_key=True)
    attempt: Mapped[int]
    result: Mapped[dict[str, Any]] = mapped_column(FreeForm)
    files: Mapped[list[dict[str, Any]]] = mapped_column(FreeForm)
    """Name, media_type, size_bytes and sha256 of each file."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
