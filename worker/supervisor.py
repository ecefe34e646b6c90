"""Watches over one job's process: passes on what it says, keeps the lease, ends it when it must end.

This side holds the database and the blobs and never loads torch; the process computes and holds nothing.
"""

from __future__ import annotations

import errno
import logging
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy.exc import DataError, IntegrityError

from app.core.errors import Invalid, LeaseLost, ServiceError, Unavailable
from app.core.states import Stage
from app.processes import tail
from app.services import leases
from models.errors import HostDiskFull, Interrupted
from worker import scratch
from worker.calibration_folder import read_texts
from worker.endings import MAX_TRIES, Ending, crashed, failed, given_up, postponed, timed_out, unpublishable
from worker.lease_keeper import Halted, LeaseKeeper
from worker.pipeline import Plan, make_plan
from worker.reporter import Reporter
from worker.sandbox.appetite import Appetite
from worker.sandbox.launch import Child, ProgramMissing, launch
from worker.sandbox.protocol import Done, Failed, Kept, ProtocolError, StageBegun, StageDone
from worker.worker_context import WorkerContext

#: How often the loop turns when the process is silent.
TURN_S = 0.25
#: What writing results raises that are not of the form that their stage has. Passed on, it left the job to
#: two other workers after this one, and then blamed them (``infrastructure``).
UNPUBLISHABLE = (LookupError, TypeError, ValueError, DataError, IntegrityError)
#: From closing its pipe to being gone; more than this and it is killed.
EXIT_S = 5.0

logger = logging.getLogger(__name__)


def run_job(context: WorkerContext, job_id: str) -> None:
    """Claim a job and see it through; return at once when it is not there to be claimed."""
    settings = context.settings
    with context.sessions.begin() as session:
        lease = leases.claim(session, job_id, worker=context.name, lease_s=settings.lease_s)
    if lease is None:
        return
    logger.info("%s: attempt %d", job_id, lease.attempt)
    keeper = LeaseKeeper(context, lease)
    try:
        ending = _attempt(context, keeper)
        try:
            keeper.write(lambda session: ending.write(session, lease))
        except UNPUBLISHABLE:
            logger.exception("%s: what the process left cannot be published", job_id)
            ending = unpublishable()
            keeper.write(lambda session: ending.write(session, lease))
    except LeaseLost:
        logger.warning("%s: the lease was lost; nothing more is written", job_id)
        return
    logger.info("%s: %s %s", job_id, ending.how, ending.error or "")
    if ending.how not in {"stopped", "postponed"}:
        scratch.delete(settings.scratch_folder, job_id)


def _attempt(context: WorkerContext, keeper: LeaseKeeper) -> Ending:
    job_id = keeper.lease.job_id
    try:
        with ExitStack() as running:
            try:
                watch = _launch(context, keeper, running)
            except OSError as error:
                logger.warning("%s: the process could not be started", job_id, exc_info=True)
                return _put_off(context, keeper, error, launched=False)
            if watch is None:
                return Ending("done")
            try:
                ending = watch.until_ended()
            except ProgramMissing as error:
                logger.error("%s: this host's installation does not work: %s", job_id, error.strerror)
                ending = _put_off(context, keeper, error, launched=False)
            except HostDiskFull as error:
                logger.error("%s: this host's disk is full", job_id)
                ending = _put_off(context, keeper, error, launched=True)
        complaint = tail(watch.log, 4000)
        if ending.how in {"failed", "postponed"} and complaint:
            logger.warning("%s: the process said:\n%s", job_id, _quoted(complaint))
    except LeaseLost:
        raise
    except Halted as halted:
        return halted.ending
    except (OSError, Unavailable) as error:  # while a stage's files were stored
        logger.warning("%s: the results could not be stored", job_id, exc_info=True)
        return _put_off(context, keeper, error, launched=True)
    except ServiceError as error:
        return failed(error.code, error.detail, error.hint)
    return ending


def _launch(context: WorkerContext, keeper: LeaseKeeper, running: ExitStack) -> _Watch | None:
    """Start the process of what is left of the job; None when nothing is. ``running`` ends it."""
    lease, settings = keeper.lease, context.settings
    # Here too: a host may have no upkeep, and what was begun on it may have been ended on another.
    keeper.patiently(lambda: scratch.delete_ended(context))

    def read() -> tuple[Plan, float]:
        with context.readers() as session:
            return make_plan(session, lease.job_id, context), leases.spent_s(session, lease)

    plan, spent_s = keeper.patiently(read)
    with keeper.kept() as go_on:
        texts = read_texts(settings.calibration_dir) if Stage.PROBE in plan.stages else {}
        description = {**plan.description, "calibration": texts}
        folder = scratch.prepare(
            settings.scratch_folder, lease, description, plan.inputs, context.blobs, go_on=go_on
        )
    keeper.renew()
    scratch.delete_earlier(folder)
    if not plan.stages:
        return None
    log = folder / "stderr.log"
    child = running.enter_context(launch(context.child, folder, threads=context.threads, log=log))
    appetite = Appetite(child.pid, folder, settings.max_scratch_bytes)
    reporter = Reporter(context, keeper, folder)
    return _Watch(child, keeper, reporter, appetite, plan=plan, left_s=plan.timeout_s - spent_s, log=log)


def _put_off(
    context: WorkerContext,
    keeper: LeaseKeeper,
    error: OSError | Unavailable | HostDiskFull,
    *,
    launched: bool,
) -> Ending:
    """Put the job off: this is its host's fault, or the blob store is away, and nothing of the job's.

    Most of it comes back by itself, however long that takes; a program and space do not.
    """
    put_off = postponed(error, launched=launched)
    end = given_up(put_off)
    if end is None:
        return put_off

    def tried() -> int:
        with context.readers() as session:
            return leases.times_released(session, keeper.lease.job_id, end.code)

    return end if keeper.patiently(tried) + 1 >= MAX_TRIES else put_off


def _quoted(text: str) -> str:
    """Make a process's words harmless in a log: no line that looks like ours, nothing that moves a cursor."""
    shown = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
    return "\n".join(f"  | {line}" for line in shown.splitlines())


class _Watch:
    """The loop over one process."""

    def __init__(
        self,
        child: Child,
        keeper: LeaseKeeper,
        reporter: Reporter,
        appetite: Appetite,
        *,
        plan: Plan,
        left_s: float,
        log: Path,
    ) -> None:
        self.log = log
        self._child = child
        self._keeper = keeper
        self._reporter = reporter
        self._appetite = appetite
        self._plan = plan
        self._deadline = time.monotonic() + left_s

    def until_ended(self) -> Ending:
        """Turn the loop until the job is done, failed or to be stopped.

        Raises:
            LeaseLost: Somebody else has the job; the caller kills the process. So it does for the next.
            ProgramMissing: It ended without a word: no line of the job has run.
            HostDiskFull: It found no room for what it writes.
            Halted: The job was to end while a stage's files were stored, which took too long.
        """
        while True:
            try:
                ending = self._listen()
            except ProtocolError as error:
                logger.exception("%s: the process spoke nonsense", self._keeper.lease.job_id)
                self._child.kill()
                return failed(
                    error.code, f"The job's process said something invalid: {error}"[:500], "Report it."
                )
            if ending is not None:
                return ending
            self._reporter.flush(force=False)
            self._keeper.renew_if_due()
            halt = self._keeper.halt()
            if halt is not None:
                return self._stop(halt)
            excess = self._appetite.excess()
            if excess is not None:
                self._child.kill()
                return excess
            if time.monotonic() > self._deadline:
                self._child.kill()
                return timed_out(self._plan.timeout_s, inspecting=Stage.INSPECT in self._plan.stages)

    def _listen(self) -> Ending | None:
        for message in self._child.messages.poll(TURN_S):
            match message:
                case Failed(code=Interrupted.code):
                    return Ending("stopped")  # service managers signal the whole group, not only the worker
                case Failed(code=HostDiskFull.code):
                    raise HostDiskFull
                case Failed():
                    return failed(message.code, message.detail, message.hint)
                case Done():
                    return self._complete()
                case StageDone():
                    self._expect(message.stage)
                    self._reporter.stage_done(message)
                case Kept():
                    self._expect(message.stage)
                    self._reporter.take(message)
                case StageBegun():
                    self._expect(message.stage)
                    self._reporter.begin(message.stage)
                case _:
                    self._reporter.take(message)
        if self._child.messages.closed:
            return self._gone(self._child.wait(EXIT_S))
        return None

    def _gone(self, status: int) -> Ending:
        if status == -signal.SIGTERM:
            return Ending("stopped")
        if self._child.messages.silent:
            how = f"by signal {-status}" if status < 0 else f"with status {status}"
            raise ProgramMissing(errno.ENOEXEC, f"it ended {how} before it said a word")
        return crashed(status)

    def _expect(self, stage: Stage) -> None:
        """Refuse a stage that is not the next one."""
        remaining: Sequence[Stage] = self._plan.stages[len(self._reporter.finished) :]
        if not remaining or stage != remaining[0]:
            raise ProtocolError(f"the stage {stage} was not due")

    def _complete(self) -> Ending:
        if tuple(self._reporter.finished) != self._plan.stages:
            raise ProtocolError("done before all stages were")
        self._reporter.flush(force=True)
        return Ending("done")

    def _stop(self, ending: Ending) -> Ending:
        """Ask the process to stop at a step boundary, and wait for it no longer than the grace allows.

        A stage that it has finished by then is kept, for the next attempt or a retry, if its files are stored
        by then, too.
        """
        self._child.ask_to_stop()
        patience = time.monotonic() + self._keeper.grace_s - self._keeper.halted_for_s()
        while not self._child.messages.closed and time.monotonic() < patience:
            try:
                for message in self._child.messages.poll(TURN_S):
                    if isinstance(message, StageDone):
                        self._expect(message.stage)
                        self._reporter.stage_done(message)
            except (ProtocolError, Invalid, Unavailable, OSError, Halted):
                break
        self._child.kill()
        return ending
