"""The blob store goes away, or is slow, while a job runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from app.core.errors import LeaseLost
from app.core.states import JobStatus, Outcome
from app.db.tables import Attempt, Job
from app.infra.blobs import StoreUnreachable
from app.services import jobs, leases
from tests.service_room import PRINCIPAL, ServiceRoom
from tests.worker.test_supervisor import begun, context, database_url, in_background, marks, wait_until
from worker.lease_keeper import LeaseKeeper
from worker.supervisor import run_job
from worker.worker_context import WorkerContext

__all__ = ["context", "database_url", "marks"]


def away(*_arguments: object, **_named: object) -> None:
    raise StoreUnreachable("away")


@pytest.mark.parametrize("method", ["fetch", "put_file"])
def test_a_blob_store_that_is_away_costs_no_attempt(
    method: str, room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each outage of a minute once cost an attempt, and three of them the job."""
    job = room.submit()
    for _ in range(4):
        with monkeypatch.context() as outage:
            outage.setattr(room.blobs, method, away)
            run_job(context, job.id)
        waiting = room.job(job.id)
        assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 0)
    with room.readers() as session:
        attempts = session.execute(select(Attempt.outcome, Attempt.error)).all()
    assert [outcome for outcome, _ in attempts] == [Outcome.RELEASED] * 4
    assert {error["code"] for _, error in attempts} == {"blob_store_unreachable"}
    run_job(context, job.id)
    done = room.job(job.id)
    assert (done.status, done.attempt) == (JobStatus.SUCCEEDED, 1)


def test_a_job_that_waits_for_the_store_is_rung_for_later_and_not_at_once(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = room.submit()
    room.rung.clear()
    monkeypatch.setattr(room.blobs, "put_file", away)
    run_job(context, job.id)
    assert room.rung == []


def test_a_job_is_canceled_while_the_store_is_away(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = room.submit()

    def cancel(*_arguments: object, **_named: object) -> None:
        with room.sessions.begin() as session:
            jobs.cancel(session, PRINCIPAL.tenant, job.id)
        away()

    monkeypatch.setattr(room.blobs, "put_file", cancel)
    run_job(context, job.id)
    assert room.job(job.id).status == JobStatus.CANCELED


def test_the_lease_is_kept_while_a_slow_store_takes_its_time(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A healthy worker lost its job whenever its inputs took longer than a lease."""
    settings = context.settings.model_copy(update={"heartbeat_s": 0.1, "lease_s": 0.6})
    job = room.submit()
    monkeypatch.setattr(room.blobs, "put_file", slowly(room.blobs.put_file, room, 1.2))
    run_job(replace(context, settings=settings), job.id)
    done = room.job(job.id)
    assert (done.status, done.attempt) == (JobStatus.SUCCEEDED, 1)


def slowly(put: Callable[..., object], room: ServiceRoom, seconds: float) -> Callable[..., object]:
    """Take so long, and let upkeep look at all leases meanwhile."""

    def store(path: Path, **named: object) -> object:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.1)
            with room.sessions.begin() as session:
                assert leases.reap(session, max_attempts=3) == []
        return put(path, **named)

    return store


def test_a_lease_that_was_lost_beside_is_found_out_by_the_next_write(
    room: ServiceRoom, context: WorkerContext
) -> None:
    job = room.submit()
    settings = context.settings.model_copy(update={"heartbeat_s": 0.05})
    with room.sessions.begin() as session:
        lease = leases.claim(session, job.id, worker="w", lease_s=60)
    assert lease is not None
    keeper = LeaseKeeper(replace(context, settings=settings), lease)
    with keeper.kept():
        with room.sessions.begin() as session:
            session.get_one(Job, job.id).lease_token = "another"
        time.sleep(0.3)
    with pytest.raises(LeaseLost):
        keeper.write(lambda session: leases.renew(session, lease, 60))


def test_a_stage_finished_while_stopping_is_given_up_when_the_store_is_away(
    room: ServiceRoom, context: WorkerContext, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = room.submit(steps=10_000, step_s=0.01, marks=str(marks))
    thread = in_background(context, job)
    wait_until(begun(marks, "distill"))
    monkeypatch.setattr(room.blobs, "put_file", away)
    with room.sessions.begin() as session:
        jobs.cancel(session, PRINCIPAL.tenant, job.id)
    thread.join()
    assert room.job(job.id).status == JobStatus.CANCELED
