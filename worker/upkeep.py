"""What somebody has to do every quarter of a minute."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path

from app.services import blob_references, idempotency, leases, upkeep_passes
from worker import scratch
from worker.worker_context import WorkerContext

#: Messages rung again at once per queue; see ``leases.ring_again``.
RINGS_AT_ONCE = 8
#: No upload takes so long: the API closes slow ones after a minute.
ABANDONED_S = 3600.0
#: Between two looks at all blobs.
SWEEP_S = 600.0
#: What is left then waits for the next tick.
SWEEP_AT_MOST_S = 20.0

logger = logging.getLogger(__name__)


class Rounds:
    """Upkeep at the scheduler's pace: of ticks that piled up behind a busy worker, one is worth a round.

    How long ago a tick was sent is not asked: two machines' clocks would have to agree on it.
    """

    def __init__(self, context: WorkerContext) -> None:
        """Begin with the next tick."""
        self._context = context
        self._ended_at = -math.inf

    def tick(self) -> None:
        """Do a round, unless the last one ended just now."""
        if time.monotonic() - self._ended_at < self._context.settings.upkeep_s / 2:
            return
        try:
            tick(self._context)
        finally:
            self._ended_at = time.monotonic()


def tick(context: WorkerContext) -> None:
    """Reap expired leases, ring for jobs nobody claimed, and clear away what nobody needs."""
    settings = context.settings
    with context.sessions.begin() as session:
        reaped = leases.reap(session, max_attempts=settings.max_attempts)
        rung = leases.ring_again(session, older_than_s=settings.rering_s, at_most=RINGS_AT_ONCE)
        idempotency.expire(session)
        upkeep_passes.note(session)
    if reaped or rung:
        logger.info("took back %s; rang again for %s", list(reaped), list(rung))
    scratch.delete_ended(context)
    for name in ("processed", "messages"):
        _empty(settings.broker_folder / name, all_files=name == "processed")
    if _due(settings.home / "swept", SWEEP_S):  # last: the store may be slow, or away
        context.blobs.delete_abandoned(older_than_s=ABANDONED_S)
        if not sweep(context):
            (settings.home / "swept").unlink(missing_ok=True)  # go on at the next tick


def sweep(context: WorkerContext) -> bool:
    """Delete the blobs to which no row refers, but none that was stored within the last hour.

    Bytes are stored before their row is committed, and equal bytes are one blob: deleting one together with
    its last row could take the bytes that somebody else's upload had put in place a moment before. What was
    stored an hour ago has its row by now, or its writer died before it could write one.

    Returns:
        Whether all were looked at; expired leases wait behind this, so it ends after a while.
    """
    horizon = context.blobs.now_s() - ABANDONED_S  # this host's clock may be hours ahead
    until = time.monotonic() + SWEEP_AT_MOST_S
    old = context.blobs.stored_before(horizon)
    with context.readers() as session:
        needed = blob_references.referenced(session)
    rubbish = [sha256 for sha256 in old if sha256 not in needed]
    gone = 0
    while rubbish:
        gone += context.blobs.delete_if_stored_before(rubbish.pop(), horizon)
        if time.monotonic() > until:
            break
    if gone:
        logger.info("deleted %d blobs that nothing refers to", gone)
    return not rubbish


def _due(marker: Path, every_s: float) -> bool:
    """Whether it is so long ago that this was last true; the file remembers it, also over a restart.

    A file of the future was written before the clock was set back, and tells nothing.
    """
    if marker.exists() and abs(time.time() - marker.stat().st_mtime) < every_s:
        return False
    marker.touch()
    return True


def _empty(folder: Path, *, all_files: bool) -> None:
    """Delete messages that were taken; from the others, only what a sender that died left unfinished."""
    horizon = time.time() - (60.0 if all_files else ABANDONED_S)
    for path in folder.glob("*" if all_files else "writing-*") if folder.exists() else ():
        try:
            if path.stat().st_ctime < horizon:
                path.unlink()
        except FileNotFoundError:  # another worker's upkeep was faster
            continue
