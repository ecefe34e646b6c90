"""A monitor for one probe of several."""

from __future__ import annotations

from models.engine.monitor import Monitor, ResumeState

#: The audit as a whole counts to this.
WHOLE = 1_000


class Portion:
    """Shows a part's progress as progress of the whole; a part keeps no state to resume from.

    An audit of ten classes takes minutes: started again after a crash, it begins anew.
    """

    def __init__(self, monitor: Monitor, start: float, end: float) -> None:
        """Map the part onto ``start`` to ``end`` of the whole, both shares in [0, 1]."""
        self._monitor, self._start, self._end = monitor, start, end

    def progress(self, done: int, total: int, **scalars: float) -> None:
        """Pass on, rescaled."""
        share = self._start + (self._end - self._start) * done / max(1, total)
        self._monitor.progress(round(share * WHOLE), WHOLE, **scalars)

    def checkpoint(self, state: ResumeState) -> None:
        """Keep nothing."""

    def wants_checkpoint(self) -> bool:
        """Keep nothing."""
        return False

    def should_stop(self) -> bool:
        """Pass on the question."""
        return self._monitor.should_stop()
