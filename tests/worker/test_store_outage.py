"""The blob store goes away, or is slow, while a job runs."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.core.errors import LeaseLost, Unavailable
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


def full(*_arguments: object, **_named: object) -> None:
    raise Unavailable("storage_full", "There is no space left to store the file.")


def stale(*_arguments: object, **_named: object) -> None:
    raise OSError(errno.ESTALE, "Stale file handle")


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


@pytest.mark.parametrize(("fault", "code"), [(full, "storage_full"), (stale, "storage_failed")])
def test_results_that_cannot_be_stored_now_are_stored_later(
    fault: Callable[..., None],
    code: str,
    room: ServiceRoom,
    context: WorkerContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full disk failed the job, and what it had trained was lost; a restarted file server counted as a
    death of the worker."""
    job = room.submit()
    with monkeypatch.context() as outage:
        outage.setattr(room.blobs, "put_file", fault)
        run_job(context, job.id)
    waiting = room.job(job.id)
    assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 0)
    with room.readers() as session:
        outcome, error = session.execute(select(Attempt.outcome, Attempt.error)).one()
    assert (outcome, error["code"], error["launched"]) == (Outcome.RELEASED, code, True)
    assert error["detail"] in {"There is no space left to store the file.", "Stale file handle"}
    run_job(context, job.id)
    assert room.job(job.id).status == JobStatus.SUCCEEDED


def test_a_disk_that_stays_full_ends_the_job(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = room.submit()
    monkeypatch.setattr(room.blobs, "put_file", full)
    monkeypatch.setattr("worker.supervisor.MAX_TRIES", 2)
    run_job(context, job.id)
    assert room.job(job.id).status == JobStatus.QUEUED
    run_job(context, job.id)
    ended = room.job(job.id)
    assert ended.status == JobStatus.FAILED
    assert ended.error is not None and ended.error["code"] == "storage_full"
    assert "frees space" in ended.error["hint"]


def impatient_keeper(room: ServiceRoom, context: WorkerContext) -> LeaseKeeper:
    """Claim a new job, and renew its lease twenty times a second."""
    job = room.submit()
    settings = context.settings.model_copy(update={"heartbeat_s": 0.05})
    with room.sessions.begin() as session:
        lease = leases.claim(session, job.id, worker="w", lease_s=60)
    assert lease is not None
    return LeaseKeeper(replace(context, settings=settings), lease)


@pytest.mark.parametrize("fault", [OperationalError("", {}, Exception("away")), PoolTimeoutError("busy")])
def test_a_database_that_is_away_for_a_moment_does_not_end_the_renewals(
    fault: Exception, room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection became free in half a minute, and the thread beside died without a word."""
    keeper = impatient_keeper(room, context)
    outages, renew, renewed = [fault], leases.renew, []

    def flaky(*arguments: Any) -> None:
        if outages:
            raise outages.pop()
        renew(*arguments)
        renewed.append(True)

    monkeypatch.setattr(leases, "renew", flaky)
    with keeper.kept():
        wait_until(lambda: bool(renewed))
    assert outages == []


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
    keeper = impatient_keeper(room, context)
    with keeper.kept():
        with room.sessions.begin() as session:
            session.get_one(Job, keeper.lease.job_id).lease_token = "another"
        time.sleep(0.3)
    with pytest.raises(LeaseLost):
        keeper.write(lambda session: leases.renew(session, keeper.lease, 60))


@pytest.mark.parametrize("fault", [away, full, stale])
def test_a_stage_finished_while_stopping_is_given_up_when_the_store_is_away(
    fault: Callable[..., None],
    room: ServiceRoom,
    context: WorkerContext,
    marks: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = room.submit(steps=10_000, step_s=0.01, marks=str(marks))
    thread = in_background(context, job)
    wait_until(begun(marks, "distill"))
    monkeypatch.setattr(room.blobs, "put_file", fault)
    with room.sessions.begin() as session:
        jobs.cancel(session, PRINCIPAL.tenant, job.id)
    thread.join()
    assert room.job(job.id).status == JobStatus.CANCELED
