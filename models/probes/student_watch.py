"""Looks at a student while it learns, and ends its training when the answer is clear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from models.engine.monitor import Monitor, ResumeState
from models.metrics import predict, wilson
from models.results.rate import Rate
from models.triggers import Trigger

#: A training is looked at this many times, evenly.
LOOKS = 10

#: The answer is clear when every trigger's success has a lower bound of this twice in a row, while the
#: same images go elsewhere without it: early students often name one class for everything.
CLEAR = 0.95


@dataclass(eq=False)
class Watched:
    """One trigger, images without it, uint8 (N, 3, S, S), and its success as the student learned."""

    trigger: Trigger
    victims: Tensor
    curve: list[tuple[int, float]] = field(default_factory=list)
    clear_looks: int = 0


def evenly(done: int, total: int) -> float:
    """Return the share of its images that a student has seen which learns in every step."""
    return done / max(1, total)


class StudentWatch:
    """A monitor that measures the student at every tenth of its training.

    Nothing here uses labels or chooses a student: what is watched is thrown away afterwards.
    """

    def __init__(
        self,
        monitor: Monitor,
        student: nn.Module,
        watched: Sequence[Watched],
        images: int,
        learned: Callable[[int, int], float] = evenly,
    ) -> None:
        """Watch a training.

        Args:
            monitor: Told of every step, too.
            student: Takes pixels in [0, 1].
            watched: The triggers.
            images: The student sees in all.
            learned: Share of them that it has seen after ``done`` of ``total`` steps.
        """
        self._monitor, self._student, self._watched, self._images = monitor, student, watched, images
        self._learned = learned
        self._looked = 0
        self.images_seen = 0
        self.answer_is_clear = False

    def progress(self, done: int, total: int, **scalars: float) -> None:
        """Look if a tenth is complete, and pass on."""
        share = self._learned(done, total)
        self.images_seen = round(share * self._images)
        if int(share * LOOKS) > self._looked:
            self._looked = int(share * LOOKS)
            self._look()
        best = max((entry.curve[-1][1] for entry in self._watched if entry.curve), default=0.0)
        self._monitor.progress(done, total, trigger_success=best, **scalars)

    def checkpoint(self, state: ResumeState) -> None:
        """Keep nothing."""

    def wants_checkpoint(self) -> bool:
        """Keep nothing."""
        return False

    def should_stop(self) -> bool:
        """Stop when asked to or when the answer is clear."""
        return self.answer_is_clear or self._monitor.should_stop()

    def _look(self) -> None:
        for entry in self._watched:
            success = self._share(entry, entry.trigger.stamp(entry.victims))
            entry.curve.append((self.images_seen, success.value))
            clear = success.low >= CLEAR and success.low > self._share(entry, entry.victims).high
            entry.clear_looks = entry.clear_looks + 1 if clear else 0
        self.answer_is_clear = all(entry.clear_looks >= 2 for entry in self._watched)

    def _share(self, entry: Watched, images: Tensor) -> Rate:
        hits = predict(self._student, images) == entry.trigger.target_label
        return wilson(int(hits.sum()), len(hits))
