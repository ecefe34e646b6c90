"""The blob store goes away while a job runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from app.core.states import JobStatus
from app.db.tables import Job
from app.infra.blobs import StoreUnreachable
from app.services import leases
from tests.service_room import ServiceRoom
from tests.worker.test_supervisor import context, database_url
from worker.supervisor import run_job
from worker.worker_context import WorkerContext

__all__ = ["context", "database_url"]


def test_a_blob_store_that_is_away_costs_an_attempt_and_not_the_job(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = room.submit()
    with monkeypatch.context() as away, pytest.raises(StoreUnreachable):
        away.setattr(room.blobs, "put_file", raising(StoreUnreachable("away")))
        run_job(context, job.id)
    with room.sessions.begin() as session:
        session.execute(update(Job).values(lease_until=datetime.now(UTC) - timedelta(seconds=1)))
        assert leases.reap(session, max_attempts=3) == [job.id]
    run_job(context, job.id)
    done = room.job(job.id)
    assert (done.status, done.attempt) == (JobStatus.SUCCEEDED, 2)


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_arguments: object) -> None:
        raise error

    return fail
