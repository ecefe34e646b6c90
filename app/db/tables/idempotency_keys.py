"""Answers to be given again when a request is repeated."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import FreeForm, UtcDateTime, db_now


class IdempotencyKey(Base):
    """One request under a key; written in the same transaction as what the request made."""

    __tablename__ = "idempotency_keys"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    """Of method, path and body."""
    response_status: Mapped[int]
    response_headers: Mapped[dict[str, str]] = mapped_column(FreeForm)
    response_body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
