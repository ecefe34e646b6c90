"""When upkeep was last done."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime


class UpkeepPass(Base):
    """The last round of upkeep: one row, or none before the first."""

    __tablename__ = "upkeep_passes"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    done_at: Mapped[datetime] = mapped_column(UtcDateTime)
