"""Writes what a job's process says into the database, at a pace that people can read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import cast

from sqlalchemy.orm import Session

from app.core.states import Stage
from app.services import stages
from app.services.stages import MetricPoint, Position
from worker import publication
from worker.lease_keeper import LeaseKeeper
from worker.pace import Pace
from worker.sandbox.protocol import Kept, Log, Message, MetricSaid, Progress, ProtocolError, StageDone
from worker.worker_context import WorkerContext

#: At most one transaction a second for progress and curves, whatever the process says.
FLUSH_S = 1.0
#: Lines for people kept of one attempt; a loop that logs must not fill the database.
MAX_LOG_LINES = 500
#: Points of curves kept of one attempt, likewise.
MAX_POINTS = 50_000


class Reporter:
    """Collects messages and writes them together."""

    def __init__(self, context: WorkerContext, keeper: LeaseKeeper, folder: Path) -> None:
        """Report about the job that ``keeper`` holds, whose process works in ``folder``."""
        self.finished: list[Stage] = []
        self._context = context
        self._keeper = keeper
        self._folder = folder
        self._stage: Stage | None = None
        self._progress: Progress | None = None
        self._kept: Kept | None = None
        self._said: list[MetricPoint | str] = []
        self._taken = {Log: 0, MetricSaid: 0}
        self._pace = Pace()
        self._flushed_at = 0.0

    def take(self, message: Message) -> None:
        """Take what is only to be passed on.

        Raises:
            LeaseLost: Somebody else has the job. This holds for every method here.
        """
        match message:
            case Progress():
                self._progress = message
                self._pace.note(time.monotonic(), message.done)
            case Kept():
                self._kept = message
            case MetricSaid() if self._counted(MetricSaid, MAX_POINTS):
                self._said.append(MetricPoint(message.stage, message.series, message.step, message.value))
            case Log() if self._counted(Log, MAX_LOG_LINES):
                self._said.append(message.text)
            case _:
                pass

    def begin(self, stage: Stage) -> None:
        """Tell that a stage begins.

        Raises:
            ProtocolError: It has begun already. Each beginning is a transaction and an event: a process that
                said so without end filled the database, and kept its supervisor from renewing the lease.
        """
        if stage == self._stage:
            raise ProtocolError(f"the stage {stage} began twice")
        self.flush(force=True)
        self._stage, self._pace = stage, Pace()
        self._keeper.write(lambda session: stages.begin(session, self._keeper.lease, stage))

    def stage_done(self, message: StageDone) -> None:
        """Store a stage's files, and then that it is done.

        Raises:
            Invalid: A file is not there, or is not one.
            Halted: The job is to end, and this took longer than the grace.
        """
        self.flush(force=True)
        with self._keeper.kept(grace_s=self._keeper.grace_s) as go_on:
            files = publication.store_files(
                self._context.blobs,
                self._folder,
                message.files,
                limit_bytes=self._context.settings.max_artifact_bytes,
                go_on=go_on,
            )
        self._keeper.write(
            lambda session: stages.finish(session, self._keeper.lease, message.stage, message.result, files)
        )
        self.finished.append(message.stage)

    def flush(self, *, force: bool) -> None:
        """Write what was collected, if the last time is long enough ago or ``force`` says so."""
        nothing = self._progress is None and self._kept is None and not self._said
        if nothing or (not force and time.monotonic() - self._flushed_at < FLUSH_S):
            return
        position = None if self._progress is None else self._position(self._progress)
        self._keeper.write(lambda session: self._write(session, position, self._said))
        self._progress, self._kept, self._said = None, None, []
        self._flushed_at = time.monotonic()

    def _write(self, session: Session, position: Position | None, said: Sequence[MetricPoint | str]) -> None:
        """Write points and lines in the order they came in, so that a flush between them changes nothing."""
        for is_point, run in groupby(said, lambda item: isinstance(item, MetricPoint)):
            if is_point:
                stages.record(session, self._keeper.lease, cast(list[MetricPoint], list(run)))
                continue
            for line in cast(list[str], list(run)):
                stages.log(session, self._keeper.lease, self._stage, line)
        if position is not None:
            stages.advance(session, self._keeper.lease, position)
        if self._kept is not None:
            share = min(1.0, self._kept.done / self._kept.total)
            stages.keep(session, self._keeper.lease, self._kept.stage, share)

    def _position(self, progress: Progress) -> Position:
        eta_s = self._pace.left(time.monotonic(), progress.total)
        return Position(progress.stage, progress.done, progress.total, eta_s, progress.scalars)

    def _counted(self, kind: type[Log | MetricSaid], limit: int) -> bool:
        self._taken[kind] += 1
        return self._taken[kind] <= limit
