"""Uploaded teacher checkpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.states import UploadStatus
from app.db.base import Base
from app.db.types import FreeForm, UtcDateTime, closed_set, db_now


class Teacher(Base):
    """A suspect network: the bytes as uploaded, and the canonical file made from them."""

    __tablename__ = "teachers"
    __table_args__ = (UniqueConstraint("tenant", "sha256", "declared_sha256"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64), index=True)
    filename: Mapped[str] = mapped_column(String(255))
    status: Mapped[UploadStatus] = mapped_column(closed_set(UploadStatus))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    declared: Mapped[dict[str, Any]] = mapped_column(FreeForm)
    """What the uploader said about the file: ``models.checkpoints`` options by name."""
    declared_sha256: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str | None] = mapped_column(String(40))
    """The inspection."""
    inspection: Mapped[dict[str, Any] | None] = mapped_column(FreeForm)
    """``models.results.inspection.CheckpointInspection``."""
    canonical_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    architecture: Mapped[str | None] = mapped_column(String(64))
    num_classes: Mapped[int | None]
    input_size: Mapped[int | None]
    parameters: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[dict[str, Any] | None] = mapped_column(FreeForm)
    """Why it was rejected: code, detail, hint."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
