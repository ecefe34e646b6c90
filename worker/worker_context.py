"""What a worker process has at hand, made once when it starts."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass, field

from sqlalchemy.orm import Session, sessionmaker

from app.core.settings import Settings
from app.infra.blobs import BlobStore


@dataclass(frozen=True)
class WorkerContext:
    """Passed to everything that a task calls."""

    settings: Settings
    sessions: sessionmaker[Session]
    readers: sessionmaker[Session]
    """Sessions that wait for no writer; for what is asked every second."""
    blobs: BlobStore
    child: tuple[str, ...]
    """The command of a job's process, without its folder."""
    threads: int
    """For one job."""
    name: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the worker was told to stop."""
