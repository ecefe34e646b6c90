"""How long ago upkeep was last done: a dead scheduler is seen by nothing else until a worker dies.

Upkeep takes the scheduler, the broker and a worker for the queue ``upkeep``; its age tells of all three.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.core.settings import Settings
from app.db.tables import UpkeepPass
from app.db.types import db_now


def note(session: Session) -> None:
    """Keep that upkeep is done now, by the database's clock."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(UpkeepPass).values(id=1, done_at=db_now())
    session.execute(insert.on_conflict_do_update(index_elements=[UpkeepPass.id], set_={"done_at": db_now()}))


def age_s(session: Session) -> float | None:
    """Return how many seconds ago upkeep was last done; None if it never was."""
    found = session.execute(select(db_now(), UpkeepPass.done_at)).one_or_none()
    return None if found is None else max(0.0, (found[0] - found[1]).total_seconds())


def late_after_s(settings: Settings) -> float:
    """Return the age from which something is wrong.

    The worker that does upkeep may be at an inspection, and on one machine it also does those that wait.
    """
    return 2 * settings.inspect_timeout_s + 4 * settings.upkeep_s
