"""What the probes found."""

from __future__ import annotations

from sqlalchemy import Float, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class ProbeResultRow(Base):
    """One probe on one network: ``models.results.audit.ProbeResult`` without its free text."""

    __tablename__ = "probe_results"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    network: Mapped[str] = mapped_column(String(24))
    """``teacher`` or ``student``."""
    probe: Mapped[str] = mapped_column(String(64))
    target_label: Mapped[int | None]
    statistic: Mapped[float | None] = mapped_column(Float(53))
    p_value: Mapped[float | None] = mapped_column(Float(53))
    conspicuous: Mapped[bool]
    seconds: Mapped[float] = mapped_column(Float(53))
