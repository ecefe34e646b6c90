from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from app.core.states import JobKind
from app.db.base import make_engine, parse_url
from app.db.tables import Job
from app.db.types import db_now
from tests.service_room import ServiceRoom

#: Reads a counter, computes, writes it: what loses updates under a transaction that begins too late.
INCREMENT = """
import sys
from sqlalchemy import text
from app.db.base import make_engine, make_session_factory
sessions = make_session_factory(make_engine(sys.argv[1]))
for _ in range(100):
    with sessions.begin() as session:
        value = session.scalar(text("SELECT value FROM counter"))
        session.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})
"""


def test_processes_that_read_and_then_write_lose_no_update(tmp_path: Path, room: ServiceRoom) -> None:
    if room.engine.dialect.name != "sqlite":
        pytest.skip("about SQLite's driver; PostgreSQL's writers use single statements")
    with room.engine.begin() as connection:
        connection.execute(text("CREATE TABLE counter (value INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))
    command = [sys.executable, "-c", INCREMENT, room.settings.database_url]
    writers = [subprocess.Popen(command) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    with room.engine.connect() as connection:
        assert connection.scalar(text("SELECT value FROM counter")) == 300


def test_the_databases_clock_is_in_utc(room: ServiceRoom) -> None:
    job = room.submit()
    assert abs(job.created_at - datetime.now(UTC)) < timedelta(seconds=60)


def test_an_offset_moves_the_clock(room: ServiceRoom) -> None:
    with room.readers() as session:
        now, then = session.execute(select(db_now(), db_now(-90.5))).one()
    assert timedelta(seconds=90) < now - then < timedelta(seconds=91)


def test_moments_compare_across_midnight_and_milliseconds(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as session:
        assert session.scalar(select(Job.id).where(Job.created_at < db_now(0.001))) == job.id
        assert session.scalar(select(Job.id).where(Job.created_at < db_now(-86_400))) is None


def test_read_only_sessions_refuse_to_write(room: ServiceRoom) -> None:
    with pytest.raises(DBAPIError), room.readers.begin() as session:
        session.add(Job(id="job_x", tenant="tenant", kind=JobKind.AUDIT))


def test_a_connection_that_only_read_can_write_afterwards(room: ServiceRoom) -> None:
    with room.readers() as session:
        session.scalars(select(Job)).all()
    room.submit()


def test_readers_do_not_wait_for_a_writer(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as writing:
        writing.execute(text("UPDATE jobs SET tenant = 'other'"))
        assert room.job(job.id).tenant == "tenant"


def test_states_outside_the_closed_set_are_refused_by_the_database(room: ServiceRoom) -> None:
    room.submit()
    with pytest.raises(DBAPIError), room.engine.begin() as connection:
        connection.execute(text("UPDATE jobs SET status = 'lost'"))


def test_the_embedded_database_is_private(room: ServiceRoom, tmp_path: Path) -> None:
    if room.engine.dialect.name != "sqlite":
        pytest.skip("about the embedded database's files")
    room.submit()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("proctor.db*")}
    assert modes == dict.fromkeys(modes, 0o600)
    assert "proctor.db-wal" in modes


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_plain_postgresql_url_means_the_shipped_driver(scheme: str) -> None:
    assert parse_url(f"{scheme}://user@host/name").drivername == "postgresql+psycopg"


def test_what_was_committed_outlives_a_power_loss(room: ServiceRoom) -> None:
    """In WAL mode, SQLite's ``NORMAL`` syncs at checkpoints only: the last accepted jobs could be gone."""
    if room.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL syncs every commit by itself")
    with room.engine.connect() as connection:
        assert connection.scalar(text("PRAGMA synchronous")) == 2  # FULL


def socket_options(room: ServiceRoom) -> list[int]:
    """Read from an open connection's socket what the kernel knows, in seconds and milliseconds."""
    with room.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.fileno())) as open_socket:
            keeping = open_socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            tcp = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            return [keeping, *(open_socket.getsockopt(socket.IPPROTO_TCP, option) for option in tcp)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems name the options otherwise")
def test_a_server_that_vanished_is_noticed_before_a_lease_ends(room: ServiceRoom) -> None:
    """Left to the kernel, a worker waited a quarter of an hour for an answer, its lease long gone."""
    if room.engine.dialect.name != "postgresql":
        pytest.skip("about a server")
    assert socket_options(room) == [1, 10, 5, 3, 25_000]
    assert room.settings.lease_s / 2 >= 10 + 5 * 3


def test_a_url_may_ask_for_another_patience_with_the_server(room: ServiceRoom) -> None:
    if room.engine.dialect.name != "postgresql":
        pytest.skip("about a server")
    engine = make_engine(f"{room.settings.database_url}?connect_timeout=3&tcp_user_timeout=7000")
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        given = driver.info.get_parameters()
    engine.dispose()
    assert (given["connect_timeout"], given["tcp_user_timeout"]) == ("3", "7000")
