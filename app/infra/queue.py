"""The queue: all the service knows of Celery.

The database row is the truth. A message carries one job's identifier and may be lost, doubled or late:
the worker claims the row, and upkeep rings again for rows that nobody claimed.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Protocol

from celery import Celery
from kombu.entity import Queue
from sqlalchemy.orm import Session

from app.core.settings import Settings
from app.core.states import JobKind
from app.db.commit_hooks import after_commit
from app.db.tables import Job
from app.db.types import db_now

RUN_JOB = "job.run"
UPKEEP = "upkeep.tick"
QUEUES = ("inspect", "cpu", "gpu", "upkeep")

#: For the connection, and for each answer on it. Whoever submits waits for the bell, and upkeep rings again.
RING_S = 1.0

logger = logging.getLogger(__name__)


class Doorbell(Protocol):
    """Tells workers that a job waits."""

    def __call__(self, job_id: str, queue: str) -> None:
        """Send the identifier; raise nothing when the broker is away."""


class CeleryDoorbell:
    """Sends by task name, so that the sender needs no task code."""

    def __init__(self, settings: Settings) -> None:
        """Connect at the first ring, apart from a worker's own connection, which may be patient."""
        self._app = make_celery(settings, timeout_s=RING_S)

    def __call__(self, job_id: str, queue: str) -> None:
        """Send, or leave it to upkeep: the row is committed and will be rung again."""
        try:
            self._app.send_task(RUN_JOB, args=[job_id], queue=queue, retry=False, ignore_result=True)
        except Exception as error:  # a broker's library has many, and none undoes the commit
            logger.warning("could not ring for %s, upkeep will: %r", job_id, error)


def make_celery(settings: Settings, *, timeout_s: float | None = None) -> Celery:
    """Make the Celery application: JSON messages, acknowledged early, one at a time, no result backend.

    Celery's solo pool defers even an early acknowledgement to the end of the task (5.7, seen on RabbitMQ), so
    a message of a long job may be delivered again; its row is taken then.

    Args:
        settings: Where the broker is.
        timeout_s: How long to wait for a connection and for each answer, where that must be short.
    """
    app = Celery("proctor", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        # The anonymous exchange routes by queue name, without the exchange table whose file two starting
        # processes can tear on the filesystem broker.
        task_queues=[Queue(name, exchange="", routing_key=name) for name in QUEUES],  # type: ignore[no-untyped-call]
        task_default_queue="cpu",
        task_default_exchange="",
        task_create_missing_queues=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # for ever; 0 would be once
        broker_connection_timeout=timeout_s or 4.0,
        broker_transport_options=_transport_options(settings, timeout_s),
    )
    if settings.broker_url.startswith("filesystem:"):
        app.conf.broker_transport = "app.infra.filesystem_broker:Transport"
    return app


def queue_of(job: Job) -> str:
    """Name the queue a job waits in."""
    return "inspect" if job.kind == JobKind.INSPECT else job.device.value


def ring(session: Session, job: Job) -> None:
    """Send the job's id to its queue once the surrounding transaction has committed.

    The session carries the ``Doorbell`` as ``info["doorbell"]``.
    """
    job.rung_at = db_now()
    doorbell: Doorbell = session.info["doorbell"]
    after_commit(session, partial(doorbell, job.id, queue_of(job)))


def _transport_options(settings: Settings, timeout_s: float | None) -> dict[str, Any]:
    """Name the folders of ``filesystem://``; for servers, how long to wait for one that is away."""
    if not settings.broker_url.startswith("filesystem:"):
        # Senders give up at once and leave the job to upkeep; kombu's default is to try for six seconds.
        once = {"max_retries": 0, "interval_start": 0.0, "interval_step": 0.1, "interval_max": 0.1}
        if settings.broker_url.startswith("amqp"):
            return {**once, "read_timeout": timeout_s, "write_timeout": timeout_s}
        return {**once, "socket_connect_timeout": timeout_s or 5.0, "socket_timeout": timeout_s or 30.0}
    folders = {name: settings.broker_folder / name for name in ("messages", "processed", "control")}
    for folder in folders.values():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        "data_folder_in": str(folders["messages"]),
        "data_folder_out": str(folders["messages"]),
        "processed_folder": str(folders["processed"]),
        "control_folder": str(folders["control"]),
        "store_processed": True,
        "polling_interval": 0.2,
    }
