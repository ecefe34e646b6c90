"""Students, and what was measured on them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Float, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class Student(Base):
    """One trained student of a job, with 95 % Wilson intervals beside every rate."""

    __tablename__ = "students"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(String(24))
    """``undefended`` or ``defended``."""
    method: Mapped[str] = mapped_column(String(32))
    defense: Mapped[str] = mapped_column(String(32))
    architecture: Mapped[str] = mapped_column(String(64))
    parameters: Mapped[int | None] = mapped_column(BigInteger)
    macs: Mapped[int | None] = mapped_column(BigInteger)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    accuracy: Mapped[float | None] = mapped_column(Float(53))
    accuracy_low: Mapped[float | None] = mapped_column(Float(53))
    accuracy_high: Mapped[float | None] = mapped_column(Float(53))
    accuracy_n: Mapped[int | None]
    worst_attack_success: Mapped[float | None] = mapped_column(Float(53))
    worst_attack_success_low: Mapped[float | None] = mapped_column(Float(53))
    worst_attack_success_high: Mapped[float | None] = mapped_column(Float(53))
    worst_attack_success_n: Mapped[int | None]
    accepted: Mapped[bool | None]
    """Decided for the student to take only."""
    artifact_id: Mapped[str | None] = mapped_column(ForeignKey("artifacts.id", ondelete="SET NULL"))
