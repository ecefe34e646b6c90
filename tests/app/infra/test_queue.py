from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from app.core.settings import Settings
from app.core.states import Device, JobKind
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


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1//"])
def test_a_broker_that_is_away_does_not_fail_the_submit(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_celery(Settings(home=tmp_path, broker_url=url))
    CeleryDoorbell(app)("job_x", "cpu")
    assert "job_x" in caplog.text


def test_inspections_have_a_queue_of_their_own() -> None:
    assert queue_of(Job(kind=JobKind.INSPECT, device=Device.GPU)) == "inspect"
    assert queue_of(Job(kind=JobKind.CLEAN, device=Device.GPU)) == "gpu"


def test_messages_on_the_filesystem_are_whole_private_and_arrive(tmp_path: Path) -> None:
    """A consumer that polls while senders write sees every message, and never a torn one."""
    settings = Settings(home=tmp_path)
    bell = CeleryDoorbell(make_celery(settings))
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


def test_messages_carry_the_identifier_and_nothing_else(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    CeleryDoorbell(make_celery(settings))("job_x", "gpu")
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
