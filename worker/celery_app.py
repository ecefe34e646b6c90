"""The worker's Celery application."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.signals import worker_shutting_down

from app.core.settings import Settings
from app.db.base import make_engine, make_session_factory
from app.infra.blobs import make_blob_store
from app.infra.queue import UPKEEP, CeleryDoorbell, make_celery
from worker import tasks
from worker.sandbox.launch import CHILD
from worker.worker_context import WorkerContext


def create_worker(settings: Settings, *, threads: int = 1, child: tuple[str, ...] = CHILD) -> Celery:
    """Make the application of a worker.

    Args:
        settings: Where database, broker, blobs and scratch folder are.
        threads: For one job.
        child: The command of a job's process.
    """
    settings.make_home()
    app = make_celery(settings)
    engine = make_engine(settings.database_url)
    context = WorkerContext(
        settings=settings,
        sessions=make_session_factory(engine, info={"doorbell": CeleryDoorbell(settings)}),
        readers=make_session_factory(engine, read_only=True),
        blobs=make_blob_store(settings.blob_url),
        child=child,
        threads=threads,
    )
    tasks.register(app, context)

    def stop(**_: Any) -> None:
        context.stopping.set()

    worker_shutting_down.connect(stop, weak=False)
    return app


def create_scheduler(settings: Settings) -> Celery:
    """Make the application of the scheduler, which only sends."""
    settings.make_home()
    app = make_celery(settings)
    entry = {"task": UPKEEP, "schedule": settings.upkeep_s, "options": {"queue": "upkeep"}}
    app.conf.beat_schedule = {"upkeep": entry}
    return app
