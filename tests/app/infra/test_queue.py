from __future__ import annotations

import socket
import stat
import threading
import time
from pathlib import Path

import amqp
import pytest
from celery import Celery
from sqlalchemy import QueuePool, text

from app.core.settings import Settings
from app.core.states import Device, JobKind
from app.db.base import make_session_factory
from app.db.tables import Job
from app.infra.queue import CeleryDoorbell, make_celery, queue_of, ring
from tests.service_room import ServiceRoom


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def test_the_bell_rings_after_the_commit(room: ServiceRoom) -> None:
    job = room.submit()
    room.rung.clear()
    with room.sessions() as session:
        ring(session, session.get_one(Job, job.id))
        session.flush()
        assert room.rung == []
        session.commit()
        assert room.rung == [(job.id, "cpu")]


def test_a_rollback_silences_the_bell(room: ServiceRoom) -> None:
    job = room.submit()
    room.rung.clear()
    with room.sessions() as session:
        ring(session, session.get_one(Job, job.id))
        session.rollback()
        session.execute(text("UPDATE jobs SET tenant = 'other'"))
        session.commit()
    assert room.rung == []


def test_a_released_savepoint_is_not_a_commit(room: ServiceRoom) -> None:
    job = room.submit()
    room.rung.clear()
    with room.sessions.begin() as session:
        ring(session, session.get_one(Job, job.id))
        with session.begin_nested():
            session.execute(text("UPDATE jobs SET tenant = 'other'"))
        assert room.rung == []
    assert room.rung == [(job.id, "cpu")]


def test_the_bell_rings_without_a_connection_to_the_database(room: ServiceRoom) -> None:
    """A broker that is slow to answer would otherwise hold one of the pool's connections meanwhile."""
    job = room.submit()
    pool = room.engine.pool
    assert isinstance(pool, QueuePool)
    held: list[int] = []
    bell = {"doorbell": lambda *_: held.append(pool.checkedout())}
    with make_session_factory(room.engine, info=bell).begin() as session:
        ring(session, session.get_one(Job, job.id))
    assert held == [0]


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1//"])
def test_a_broker_that_is_away_does_not_fail_the_submit(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    CeleryDoorbell(Settings(home=tmp_path, broker_url=url))("job_x", "cpu")
    assert "job_x" in caplog.text


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}/0", "amqp://guest:guest@127.0.0.1:{}//"])
def test_a_broker_that_is_silent_is_not_waited_for(url: str, tmp_path: Path) -> None:
    """Whoever submits waits for the bell; it took 30 s with Redis."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings(home=tmp_path, broker_url=url.format(silent.getsockname()[1]))
        began = time.monotonic()
        CeleryDoorbell(settings)("job_x", "cpu")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "error", [amqp.PreconditionFailed("arguments differ"), amqp.AccessRefused("no"), KeyError("x")], ids=repr
)
def test_whatever_goes_wrong_with_a_ring_the_job_was_accepted(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(Celery, "send_task", refuse)
    CeleryDoorbell(Settings(home=tmp_path))("job_x", "cpu")
    assert "job_x" in caplog.text


def test_inspections_have_a_queue_of_their_own() -> None:
    assert queue_of(Job(kind=JobKind.INSPECT, device=Device.GPU)) == "inspect"
    assert queue_of(Job(kind=JobKind.CLEAN, device=Device.GPU)) == "gpu"


def test_messages_on_the_filesystem_are_whole_private_and_arrive(tmp_path: Path) -> None:
    """A consumer that polls while senders write sees every message, and never a torn one."""
    settings = Settings(home=tmp_path)
    bell = CeleryDoorbell(settings)
    sent = [f"job_{number}" for number in range(40)]
    senders = [
        threading.Thread(target=lambda ids=sent[i::2]: [bell(each, "cpu") for each in ids]) for i in (0, 1)
    ]
    received: list[str] = []
    with make_celery(settings).connection_for_read() as connection:
        channel = connection.default_channel
        for sender in senders:
            sender.start()
        while len(received) < len(sent):
            message = channel.basic_get("cpu", no_ack=True)
            if message is not None:
                received.append(message.decode()[0][0])
    for sender in senders:
        sender.join()
    assert sorted(received) == sorted(sent)
    processed = list((settings.broker_folder / "processed").iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in processed} == {0o600}


@pytest.mark.parametrize("torn", [b"", b'{"body": "W1', b"\0" * 64], ids=["empty", "half", "zeros"])
def test_a_message_torn_by_a_power_cut_is_passed_over(torn: bytes, tmp_path: Path) -> None:
    """The worker died of each of them, with the message behind it still waiting."""
    settings = Settings(home=tmp_path)
    bell = CeleryDoorbell(settings)
    bell("job_torn", "cpu")
    (message,) = (settings.broker_folder / "messages").iterdir()
    message.write_bytes(torn)
    bell("job_x", "cpu")
    with make_celery(settings).connection_for_read() as connection:
        found = connection.default_channel.basic_get("cpu", no_ack=True)
        assert found is not None and found.decode()[0] == ["job_x"]
        assert connection.default_channel.basic_get("cpu", no_ack=True) is None
    assert list((settings.broker_folder / "messages").iterdir()) == []


def test_messages_carry_the_identifier_and_nothing_else(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    CeleryDoorbell(settings)("job_x", "gpu")
    with make_celery(settings).connection_for_read() as connection:
        message = connection.default_channel.basic_get("gpu", no_ack=True)
    assert message is not None
    assert message.headers["task"] == "job.run"
    assert message.decode()[:2] == [["job_x"], {}]


def test_a_rollback_to_a_savepoint_keeps_what_was_asked_before(room: ServiceRoom) -> None:
    job = room.submit()
    room.rung.clear()
    with room.sessions.begin() as session:
        ring(session, session.get_one(Job, job.id))
        savepoint = session.begin_nested()
        savepoint.rollback()
    assert room.rung == [(job.id, "cpu")]


def test_a_worker_waits_for_a_broker_that_is_away_for_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery's default gives up after a hundred tries, which are 50 minutes, and ends the worker."""

    class TwoHours(Exception):
        pass

    waited: list[float] = []

    def wait(error: Exception, interval: float) -> None:
        waited.append(interval)
        if sum(waited) > 7200:
            raise TwoHours

    monkeypatch.setattr("kombu.utils.functional.sleep", lambda seconds: None)
    app = make_celery(Settings(home=tmp_path, broker_url="redis://127.0.0.1:1/0"))
    with pytest.raises(TwoHours):  # the worker's consumer and the scheduler connect like this
        app.connection_for_read().ensure_connection(wait, app.conf.broker_connection_max_retries)
