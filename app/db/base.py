"""Engine and sessions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

#: What a session raises when its database does not answer, or no connection to it becomes free.
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)

#: How long a writer waits for another on SQLite. Transactions here take milliseconds.
SQLITE_BUSY_S = 30.0

#: libpq's words for how long to wait for a server that vanished: in seconds, and its last in milliseconds.
#: Linux alone takes 15 minutes to give up a query, and two hours to miss an answer. This is less than half of
#: a lease. What a URL says goes before it.
POSTGRESQL_PATIENCE = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all tables. Constraints are named, so that migrations can drop them on every database."""

    metadata = MetaData(naming_convention=NAMES)


def parse_url(url: str) -> URL:
    """Read a database URL; a plain ``postgresql://`` means the driver we ship, psycopg 3."""
    parsed = make_url(url)
    if parsed.drivername in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def make_engine(url: str) -> Engine:
    """Make the engine; on SQLite, in the modes that keep concurrent writers from losing updates."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        _make_private_file(parsed)
        engine = create_engine(parsed, connect_args={"timeout": SQLITE_BUSY_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    patience = {name: value for name, value in POSTGRESQL_PATIENCE.items() if name not in parsed.query}
    return create_engine(parsed, pool_pre_ping=True, connect_args=patience)


def make_session_factory(
    engine: Engine, *, info: Mapping[str, Any] | None = None, read_only: bool = False
) -> sessionmaker[Session]:
    """Make the factory of sessions.

    Args:
        engine: From ``make_engine``.
        info: Seen by services as ``session.info``; holds the ``doorbell`` of ``app.infra.queue``.
        read_only: Transactions that refuse to write and, on SQLite, wait for no writer. For polling.
    """
    if read_only:
        engine = engine.execution_options(read_only=True, postgresql_readonly=True)
    return sessionmaker(engine, expire_on_commit=False, info=dict(info or {}))


def is_full(error: BaseException) -> bool:
    """Whether an error of ``DATABASE_AWAY`` says that there is no room for what was to be written.

    Only SQLite's, whose disk is that of the home: where PostgreSQL has none left is its operator's to know.
    """
    return getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _make_private_file(url: URL) -> None:
    """Make the database file before SQLite does, with mode 0600; its journal files inherit the mode."""
    if url.database and url.database != ":memory:":
        path = Path(url.database)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    """Leave BEGIN to us, let readers go on while someone writes, and keep what is committed.

    ``FULL`` syncs every commit, which takes 8 ms on our disk. ``NORMAL`` takes 0.01 ms, and a power loss
    undoes what was committed since the last checkpoint, such as jobs whose senders were told of them.
    """
    del record
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at the start.

    Python's default begins a transaction at the first write, after the read it is based on: from four
    processes 6,991 of 9,369 read-modify-write updates were lost; with BEGIN IMMEDIATE 0 of 2,264.
    """
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql(f"PRAGMA query_only = {int(read_only)}")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
