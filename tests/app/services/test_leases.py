from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from app.core.errors import LeaseLost
from app.core.states import EventKind, JobStatus, Outcome, Stage
from app.db.tables import Attempt, Event, Job, StageOutput
from app.services import endings, events, jobs, leases, publication, stages
from app.services.leases import Lease
from app.services.stages import MetricPoint, Position
from tests.service_room import PRINCIPAL, ServiceRoom

LEASE_S = 60.0


def claim(room: ServiceRoom, job_id: str, lease_s: float = LEASE_S) -> Lease | None:
    with room.sessions.begin() as session:
        return leases.claim(session, job_id, worker="host:1", lease_s=lease_s)


def test_of_two_claimers_at_the_same_moment_one_wins(room: ServiceRoom) -> None:
    job = room.submit()
    start = threading.Barrier(2)
    won: list[Lease | None] = []

    def contend() -> None:
        start.wait()
        won.append(claim(room, job.id))

    threads = [threading.Thread(target=contend) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lease is None for lease in won) == [False, True]
    with room.readers() as session:
        assert [attempt.number for attempt in session.scalars(select(Attempt))] == [1]


def test_a_message_for_an_unknown_job_claims_nothing(room: ServiceRoom) -> None:
    assert claim(room, "job_unknown") is None


def snapshot(room: ServiceRoom) -> list[list[tuple[object, ...]]]:
    tables = ("jobs", "attempts", "events", "metrics", "stage_outputs", "artifacts", "students")
    with room.engine.connect() as connection:
        return [
            [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))]
            for table in tables
        ]


WRITES = {
    "renew": lambda session, lease: leases.renew(session, lease, LEASE_S),
    "cancel_requested": leases.cancel_requested,
    "begin": lambda session, lease: stages.begin(session, lease, Stage.PROBE),
    "advance": lambda session, lease: stages.advance(session, lease, Position(Stage.PROBE, 1, 2, None, {})),
    "log": lambda session, lease: stages.log(session, lease, None, "text"),
    "record": lambda session, lease: stages.record(session, lease, [MetricPoint(Stage.PROBE, "x", 1, 1.0)]),
    "keep": lambda session, lease: stages.keep(session, lease, Stage.PROBE, 0.5),
    "finish": lambda session, lease: stages.finish(session, lease, Stage.PROBE, {}, []),
    "publish": publication.publish,
    "end": lambda session, lease: leases.end(session, lease, JobStatus.FAILED, error={"code": "x"}),
    "release": leases.release,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_worker_that_lost_its_lease_writes_nothing(write: object, room: ServiceRoom) -> None:
    job = room.submit()
    lost = claim(room, job.id, lease_s=-1)
    with room.sessions.begin() as session:
        leases.reap(session, max_attempts=3)
    assert claim(room, job.id) is not None
    before = snapshot(room)
    with pytest.raises(LeaseLost), room.sessions.begin() as session:
        write(session, lost)
    assert snapshot(room) == before


def test_an_expired_lease_goes_back_to_the_queue(room: ServiceRoom) -> None:
    job = room.submit()
    claim(room, job.id, lease_s=-1)
    room.rung.clear()
    with room.sessions.begin() as session:
        assert leases.reap(session, max_attempts=3) == [job.id]
    assert room.job(job.id).status == JobStatus.QUEUED
    assert room.rung == [(job.id, "cpu")]
    with room.readers() as session:
        assert session.scalar(select(Attempt.outcome)) == Outcome.LEASE_EXPIRED


def test_a_lease_that_has_not_expired_is_left_alone(room: ServiceRoom) -> None:
    job = room.submit()
    claim(room, job.id)
    with room.sessions.begin() as session:
        assert leases.reap(session, max_attempts=3) == []
    assert room.job(job.id).status == JobStatus.RUNNING


def test_the_third_silent_worker_fails_the_job(room: ServiceRoom) -> None:
    job = room.submit()
    for _ in range(3):
        assert claim(room, job.id, lease_s=-1) is not None
        with room.sessions.begin() as session:
            leases.reap(session, max_attempts=3)
    failed = room.job(job.id)
    assert failed.status == JobStatus.FAILED
    assert failed.error is not None and failed.error["code"] == "infrastructure"


def test_a_job_that_was_canceled_while_its_worker_was_silent_is_not_run_again(room: ServiceRoom) -> None:
    job = room.submit()
    claim(room, job.id, lease_s=-1)
    with room.sessions.begin() as session:
        jobs.cancel(session, PRINCIPAL.tenant, job.id)
        leases.reap(session, max_attempts=3)
    assert room.job(job.id).status == JobStatus.CANCELED


def test_the_database_clock_decides_about_leases(room: ServiceRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    job = room.submit()
    claim(room, job.id)
    monkeypatch.setattr("time.time", lambda: 4e9)  # a worker whose clock is in the year 2096
    with room.sessions.begin() as session:
        assert leases.reap(session, max_attempts=3) == []


def test_only_old_rings_are_repeated(room: ServiceRoom) -> None:
    job = room.submit()
    room.rung.clear()
    with room.sessions.begin() as session:
        assert leases.ring_again(session, older_than_s=30, at_most=8) == []
    with room.sessions.begin() as session:
        assert leases.ring_again(session, older_than_s=-1, at_most=8) == [job.id]
    assert room.rung == [(job.id, "cpu")]


def test_rings_are_repeated_for_the_oldest_jobs_of_a_queue(room: ServiceRoom) -> None:
    submitted = [room.submit().id for _ in range(3)]
    with room.sessions.begin() as session:
        assert leases.ring_again(session, older_than_s=-1, at_most=2) == submitted[:2]


@pytest.mark.parametrize("cancel_first", [True, False])
def test_cancel_and_finish_end_in_one_legal_state(cancel_first: bool, room: ServiceRoom) -> None:
    """Eight races; whoever wins, there is one ending, and it is told once."""
    for _ in range(8):
        job = room.submit()
        lease = claim(room, job.id)
        start = threading.Barrier(2)

        def cancel(job_id: str = job.id, start: threading.Barrier = start) -> None:
            start.wait()
            with room.sessions.begin() as session:
                jobs.cancel(session, PRINCIPAL.tenant, job_id)

        def finish(lease: Lease = lease, start: threading.Barrier = start) -> None:
            start.wait()
            with room.sessions.begin() as session:
                leases.end(session, lease, JobStatus.SUCCEEDED)

        order = (cancel, finish) if cancel_first else (finish, cancel)
        threads = [threading.Thread(target=each) for each in order]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert room.job(job.id).status == JobStatus.SUCCEEDED
        with room.readers() as session:
            kinds = [event.kind for event in events.page(session, job.id)]
        assert kinds.count(EventKind.DONE) == 1


def test_cancel_and_claim_end_in_one_legal_state(room: ServiceRoom) -> None:
    for _ in range(8):
        job = room.submit()
        start = threading.Barrier(2)
        won: list[Lease | None] = []

        def contend(job_id: str = job.id, start: threading.Barrier = start, won: list = won) -> None:
            start.wait()
            won.append(claim(room, job_id))

        thread = threading.Thread(target=contend)
        thread.start()
        start.wait()
        with room.sessions.begin() as session:
            jobs.cancel(session, PRINCIPAL.tenant, job.id)
        thread.join()
        after = room.job(job.id)
        assert after.cancel_requested
        assert after.status == (JobStatus.CANCELED if won == [None] else JobStatus.RUNNING)


def test_events_are_numbered_without_gaps_by_concurrent_writers(room: ServiceRoom) -> None:
    job = room.submit()

    def write() -> None:
        for _ in range(10):
            with room.sessions.begin() as session:
                events.append(session, job.id, EventKind.LOG, {"text": "x"})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with room.readers() as session:
        assert list(session.scalars(select(Event.seq).order_by(Event.seq))) == list(range(1, 42))


def test_metric_points_that_come_again_replace_the_first(room: ServiceRoom) -> None:
    job = room.submit()
    lease = claim(room, job.id)
    for value in (1.0, 2.0):
        with room.sessions.begin() as session:
            stages.record(session, lease, [MetricPoint(Stage.PROBE, "loss", 1, value)])
    with room.engine.connect() as connection:
        assert list(connection.execute(text("SELECT value FROM metrics"))) == [(2.0,)]


def test_time_of_earlier_attempts_counts(room: ServiceRoom) -> None:
    job = room.submit()
    claim(room, job.id, lease_s=-1)
    with room.sessions.begin() as session:
        leases.reap(session, max_attempts=3)
    lease = claim(room, job.id)
    with room.sessions.begin() as session:
        session.execute(
            text("UPDATE attempts SET started_at = :then WHERE finished_at IS NOT NULL"),
            {"then": "2020-01-01 00:00:00.000000"},
        )
        assert leases.spent_s(session, lease) > 3600


def test_a_night_without_power_is_not_time_of_the_job(room: ServiceRoom) -> None:
    job = room.submit()
    claim(room, job.id)
    evening = datetime(2020, 1, 1, tzinfo=UTC)
    heard_at = evening + timedelta(seconds=30)
    with room.sessions.begin() as session:
        session.execute(update(Attempt).values(started_at=evening))
        session.execute(update(Job).values(heartbeat_at=heard_at, lease_until=heard_at))
    with room.sessions.begin() as session:
        assert leases.reap(session, max_attempts=3) == [job.id]
    lease = claim(room, job.id)
    with room.readers() as session:
        assert leases.spent_s(session, lease) == 30


def test_an_attempt_begins_with_its_first_heartbeat(room: ServiceRoom) -> None:
    """Else one that died before the second would have ended before it began."""
    job = room.submit()
    claim(room, job.id, lease_s=-1)
    with room.sessions.begin() as session:
        leases.reap(session, max_attempts=3)
        assert leases.spent_s(session, Lease(job.id, "next", 2)) == 0


def test_telling_an_ending_reads_the_row_again(room: ServiceRoom) -> None:
    job = room.submit()
    with room.sessions.begin() as session:
        session.get_one(Job, job.id)
        session.execute(text("UPDATE jobs SET status = 'failed', error = '{\"code\": \"x\"}'"))
        endings.tell(session, job.id)
        assert events.page(session, job.id)[-1].data["status"] == "failed"


def test_a_finished_stage_is_kept_once(room: ServiceRoom) -> None:
    job = room.submit()
    lease = claim(room, job.id)
    for text_ in ("first", "second"):
        with room.sessions.begin() as session:
            stages.finish(session, lease, Stage.PROBE, {"text": text_}, [])
    with room.readers() as session:
        assert [output.result for output in session.scalars(select(StageOutput))] == [{"text": "second"}]
