"""The tasks, by the names that the service sends."""

from __future__ import annotations

from celery import Celery

from app.infra.queue import RUN_JOB, UPKEEP
from worker import upkeep
from worker.supervisor import run_job
from worker.worker_context import WorkerContext


def register(app: Celery, context: WorkerContext) -> None:
    """Give the application its tasks."""
    rounds = upkeep.Rounds(context)

    @app.task(name=RUN_JOB)  # type: ignore[untyped-decorator]
    def job_run(job_id: str) -> None:
        """Run a job, if it still waits."""
        run_job(context, job_id)

    @app.task(name=UPKEEP)  # type: ignore[untyped-decorator]
    def upkeep_tick() -> None:
        """Do what has to be done regularly."""
        rounds.tick()
