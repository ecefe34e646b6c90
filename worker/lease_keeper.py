"""Keeps the hold on a job while its process computes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.orm import Session

from app.core.errors import LeaseLost
from app.db.base import DATABASE_AWAY
from app.infra.blobs import GoOn
from app.services import leases
from app.services.leases import Lease
from worker.endings import Ending
from worker.worker_context import WorkerContext

T = TypeVar("T")

CANCEL_POLL_S = 0.5
RETRY_S = 1.0


def _awake_or_asleep_s() -> float:
    """Read a clock that goes on while the machine sleeps, as the database's does; the monotonic one stops.

    When a laptop woke up, its job's lease was over, and by the other clock not due yet. Where upkeep came
    first, it took the job away, and the third time it failed it.
    """
    boot_time: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


class Halted(CancelledError):
    """The job was canceled, or the worker told to stop, while bytes moved; they need not arrive."""

    def __init__(self, ending: Ending) -> None:
        """Say how the job is to end."""
        super().__init__()
        self.ending = ending


class LeaseKeeper:
    """Renews the lease, asks whether the job was canceled, and writes under the lease."""

    def __init__(self, context: WorkerContext, lease: Lease) -> None:
        """Keep ``lease``, which was claimed just now."""
        self.lease = lease
        self.grace_s = context.settings.cancel_grace_s
        self._context = context
        self._renewed_at, self._asked_at = _awake_or_asleep_s(), time.monotonic()
        self._canceled = False
        self._halted_at: float | None = None

    def renew_if_due(self) -> None:
        """Renew the lease every ``heartbeat_s``.

        Raises:
            LeaseLost: Somebody else has the job. This holds for every method here.
        """
        if _awake_or_asleep_s() - self._renewed_at >= self._context.settings.heartbeat_s:
            self.renew()

    def renew(self) -> None:
        """Renew the lease now, and so find out whether it is still ours."""
        self.write(lambda session: leases.renew(session, self.lease, self._context.settings.lease_s))
        self._renewed_at = _awake_or_asleep_s()

    @contextmanager
    def kept(self, *, grace_s: float = 0.0) -> Iterator[GoOn]:
        """Renew the lease from beside for as long as the caller moves bytes, which may take minutes.

        Whether it was lost meanwhile, the next write finds out.

        Args:
            grace_s: How long they may go on moving when the job is to end.

        Yields:
            What to call before each chunk; it raises ``Halted``.
        """

        def go_on() -> None:
            ending = self.halt()
            if ending is not None and self.halted_for_s() >= grace_s:
                raise Halted(ending)

        done = threading.Event()
        beside = threading.Thread(target=self._renew_until, args=(done,), name="lease")
        beside.start()
        try:
            yield go_on
        finally:
            done.set()
            beside.join()

    def _renew_until(self, done: threading.Event) -> None:
        settings = self._context.settings
        while not done.wait(settings.heartbeat_s):
            try:
                with self._context.sessions.begin() as session:
                    leases.renew(session, self.lease, settings.lease_s)
            except LeaseLost:
                return
            except DATABASE_AWAY:
                continue
            self._renewed_at = _awake_or_asleep_s()

    def halt(self) -> Ending | None:
        """Say how the job is to end before it is done: somebody canceled it, or told the worker to stop.

        Asks the database twice a second.
        """
        if time.monotonic() - self._asked_at >= CANCEL_POLL_S:
            self._canceled = self.patiently(self._ask)
            self._asked_at = time.monotonic()
        if not self._canceled and not self._context.stopping.is_set():
            return None
        if self._halted_at is None:
            self._halted_at = time.monotonic()
        return Ending("canceled" if self._canceled else "stopped")

    def halted_for_s(self) -> float:
        """Say how long ago ``halt`` first had an ending."""
        return 0.0 if self._halted_at is None else time.monotonic() - self._halted_at

    def write(self, operation: Callable[[Session], None]) -> None:
        """Run ``operation`` in a transaction; when it commits, the lease was still held."""

        def commit() -> None:
            with self._context.sessions.begin() as session:
                operation(session)

        self.patiently(commit)

    def patiently(self, operation: Callable[[], T]) -> T:
        """Do what only reads, or can be done twice; wait for a database that is away, but no longer than the
        lease can last.
        """
        while True:
            try:
                return operation()
            except DATABASE_AWAY:
                if _awake_or_asleep_s() - self._renewed_at > self._context.settings.lease_s:
                    raise LeaseLost(self.lease.job_id) from None
                time.sleep(RETRY_S)

    def _ask(self) -> bool:
        with self._context.readers() as session:
            return leases.cancel_requested(session, self.lease)
