"""How long the rest of a stage will take, by its pace of late.

The pace changes within a stage: with retrospection a student's step takes several times as long as before. By
the pace since the stage's beginning the demo told of 26 s when two minutes were left.
"""

from __future__ import annotations

from collections import deque

#: The pace is that of so many seconds, or between the last two messages where those are farther apart.
RECENT_S = 45.0


class Pace:
    """Positions of one stage, the newest last."""

    def __init__(self) -> None:
        """Begin with no position."""
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, done: int) -> None:
        """Take a position.

        Args:
            now: Seconds of a clock that does not go back.
            done: Steps.
        """
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RECENT_S:
            self._seen.popleft()

    def left(self, now: float, total: int) -> float | None:
        """Return the seconds that the steps up to ``total`` will take; None until one was taken.

        A resumed stage begins late: only what was noted here counts.
        """
        if not self._seen:
            return None
        (since, start), (_, done) = self._seen[0], self._seen[-1]
        return (total - done) * (now - since) / (done - start) if done > start else None
