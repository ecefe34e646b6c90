"""What a job's process keeps, its supervisor notes: it gives back the tries that dead workers cost."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace

from sqlalchemy import func, select, update

from app.core.states import JobKind, JobStatus
from app.db.tables import Attempt, Job
from app.db.types import db_now
from app.services import leases
from tests.service_room import ServiceRoom
from tests.worker.test_supervisor import context, database_url, wait_until
from worker.supervisor import run_job
from worker.worker_context import WorkerContext

__all__ = ["context", "database_url"]

SAYS = """
import json, time
for message in {messages}:
    print(json.dumps(message), flush=True)
time.sleep(600)
"""


def test_what_a_process_kept_gives_its_job_the_tries_back(room: ServiceRoom, context: WorkerContext) -> None:
    """Two workers died on it, a third one lost its lease after it had kept more."""
    job = room.submit(JobKind.DISTILL)
    with context.sessions.begin() as session:
        for _ in range(2):
            leases.claim(session, job.id, worker="w", lease_s=-1)
            leases.reap(session, max_attempts=3)
    messages = [{"type": "kept", "stage": "distill", "done": done, "total": 4} for done in (1, 5)]
    child = (sys.executable, "-c", SAYS.format(messages=messages))
    worker = threading.Thread(target=run_job, args=(replace(context, child=child), job.id))
    worker.start()

    def reached() -> float | None:
        with room.readers() as session:
            return session.scalar(select(func.max(Attempt.reached)))

    try:
        wait_until(lambda: reached() == 1.0)
    finally:
        with room.sessions.begin() as session:
            session.execute(update(Job).values(lease_until=db_now(-1)))
            leases.reap(session, max_attempts=3)
        worker.join()
    assert room.job(job.id).status == JobStatus.QUEUED


def test_a_process_cannot_keep_what_is_not_its_jobs_next_stage(
    room: ServiceRoom, context: WorkerContext
) -> None:
    job = room.submit(JobKind.DISTILL)
    messages = [{"type": "kept", "stage": "probe", "done": 1, "total": 1}]
    run_job(replace(context, child=(sys.executable, "-c", SAYS.format(messages=messages))), job.id)
    failed = room.job(job.id)
    assert failed.error is not None and failed.error["code"] == "child_protocol"
