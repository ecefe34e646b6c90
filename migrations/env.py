"""Run migrations on the database of the settings, or on the one that ``app.db.migrate`` passes.

All of an upgrade is one transaction, on SQLite too (its DDL is transactional once BEGIN is left to us), so
a migration that fails leaves the database as it was.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

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
        with engine.connect() as connection:
            _drop_freely(connection)
            with connection.begin():
                _migrate(connection)
    finally:
        engine.dispose()


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    context.configure(
        connection=connection,
        target_metadata=Job.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    context.run_migrations()
    _check_references(connection)


def _drop_freely(connection: Connection) -> None:
    """Let SQLite drop a table to put a new one in its place without deleting what refers to it.

    It must be said outside of any transaction; the connection is closed afterwards.
    """
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        assert driver is not None, "a fresh connection has its driver's"  # noqa: S101
        driver.execute("PRAGMA foreign_keys = OFF")


def _check_references(connection: Connection) -> None:
    """Make sure that nothing refers to rows that are gone.

    Raises:
        RuntimeError: If something does; the transaction is then rolled back.
    """
    if connection.dialect.name == "sqlite":
        lost = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if lost:
            msg = f"{len(lost)} rows would refer to rows that are gone, first {lost[0]}"
            raise RuntimeError(msg)


run()
