"""Several runs one after another that stop and resume as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.engine.monitor import Monitor, ResumeState
from models.engine.resume import pack, unpack

Work = Callable[[Monitor, ResumeState | None], dict[str, Any]]


class Phases:
    """Keeps what finished runs returned, and hands a run that was cut off its own state."""

    def __init__(self, monitor: Monitor, resume: ResumeState | None) -> None:
        """Start anew, or where ``resume`` was offered to a monitor by the same runs."""
        kept = {} if resume is None else unpack(resume)
        self._monitor = monitor
        self._finished: dict[str, Any] = kept.get("finished", {})
        self._running: str | None = kept.get("running")
        self._state = kept.get("state")

    def run(self, name: str, work: Work) -> dict[str, Any]:
        """Do ``work``, unless it was finished before, and return what it returned.

        Args:
            name: Tells the runs apart.
            work: Takes a monitor and a state to resume from; returns tensors and plain values, nested in
                dictionaries and lists. A state that survives must say everything later runs need.
        """
        if name not in self._finished:
            resume = pack(self._state) if self._running == name and self._state is not None else None
            made = work(_PhaseMonitor(self._monitor, self._finished, name), resume)
            # As it comes back from a file, so that a resumed run goes on with the very same values.
            self._finished[name] = unpack(pack(made))
            self._monitor.checkpoint(_kept(self._finished, None, None))
        found: dict[str, Any] = self._finished[name]
        return found


class _PhaseMonitor:
    """Passes on what one run says, and wraps its states."""

    def __init__(self, monitor: Monitor, finished: dict[str, Any], name: str) -> None:
        self._monitor, self._finished, self._name = monitor, finished, name

    def progress(self, done: int, total: int, **scalars: float) -> None:
        self._monitor.progress(done, total, **scalars)

    def checkpoint(self, state: ResumeState) -> None:
        self._monitor.checkpoint(_kept(self._finished, self._name, unpack(state)))

    def wants_checkpoint(self) -> bool:
        return self._monitor.wants_checkpoint()

    def should_stop(self) -> bool:
        return self._monitor.should_stop()


def _kept(finished: dict[str, Any], running: str | None, state: dict[str, Any] | None) -> ResumeState:
    return pack({"finished": finished, "running": running, "state": state})
