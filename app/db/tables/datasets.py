"""Uploaded images."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.states import DatasetRole, UploadStatus
from app.db.base import Base
from app.db.types import FreeForm, UtcDateTime, closed_set, db_now


class Dataset(Base):
    """An archive of images, or one image, and the canonical file made from it."""

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("tenant", "sha256", "role"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64), index=True)
    filename: Mapped[str] = mapped_column(String(255))
    role: Mapped[DatasetRole] = mapped_column(closed_set(DatasetRole))
    status: Mapped[UploadStatus] = mapped_column(closed_set(UploadStatus))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    job_id: Mapped[str | None] = mapped_column(String(40))
    """The inspection."""
    inspection: Mapped[dict[str, Any] | None] = mapped_column(FreeForm)
    """``models.results.inspection.DatasetInspection``."""
    canonical_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    images: Mapped[int | None]
    num_classes: Mapped[int | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(FreeForm)
    """Why it was rejected: code, detail, hint."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
