"""Run migrations on the database of the settings, or on the one that ``app.db.migrate`` passes.

All of an upgrade is one transaction, on SQLite too (its DDL is transactional once BEGIN is left to us), so
a migration that fails leaves the database as it was.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from app.core.settings import Settings
from app.db.base import make_engine
from app.db.tables import Job

#: Two services that start together migrate one after the other. Any number that nobody else uses.
LOCK = 7_706_721


def run() -> None:
    """Migrate."""
    url = context.config.attributes.get("url") or Settings().database_url
    engine = make_engine(url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            context.configure(
                connection=connection,
                target_metadata=Job.metadata,
                render_as_batch=connection.dialect.name == "sqlite",
            )
            context.run_migrations()
    finally:
        engine.dispose()


run()
