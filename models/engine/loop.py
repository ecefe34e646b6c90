"""The one training loop: it knows steps, progress, stopping and resuming, and nothing of distillation."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from models.engine.monitor import Monitor, ResumeState, raise_if_stopped
from models.engine.resume import pack, unpack
from models.engine.seed import generator_states, restore_generators, seeded
from models.errors import TrainingFailed
from models.results.training import CurvePoint

#: A run reports about so often, whatever its length: enough for a smooth curve, few enough to store.
REPORTS = 200

#: On a GPU, reading the loss waits for all that was queued; there it is read so often, the sum of the losses
#: since the last reading for all of them: what is not finite stays so in a sum.
GPU_READS_EVERY = 25


class Finished(Exception):
    """Raised by a task's ``step`` when it has nothing left to do before the planned end."""


class Task(Protocol):
    """What is trained: holds the networks and optimizers, knows what one step is."""

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take step ``index`` and return named scalars, ``loss`` among them."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything a resumed run needs, as nested dictionaries of tensors and plain values."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""


@dataclass(frozen=True)
class LoopResult:
    """What a finished loop has to tell; ``final`` is the last point of ``curve`` that tells of the result."""

    curve: tuple[CurvePoint, ...]
    final: dict[str, float]
    seconds: float
    steps: int


def run_loop(
    task: Task, *, steps: int, monitor: Monitor, resume: ResumeState | None = None, seed: int = 0
) -> LoopResult:
    """Run ``task`` from step 0, or from where ``resume`` was taken, to ``steps``.

    Layers that draw from torch's global generators, such as dropout, get their own stretch of them: the
    caller's are left as they were, and a resumed run goes on where the interrupted one was.

    Args:
        task: What to train.
        steps: Length of the whole run.
        monitor: Asked before every step whether to stop; told of progress about 200 times, and before each
            state that it keeps.
        resume: A state that the monitor was offered by the same run.
        seed: Of the global generators.

    Raises:
        Interrupted: The monitor asked to stop.
        TrainingFailed: ``non_finite`` if ``loss`` is infinite or not a number.
    """
    with seeded(seed):
        return _Loop(task, steps, monitor, resume).run()


class _Loop:
    def __init__(self, task: Task, steps: int, monitor: Monitor, resume: ResumeState | None) -> None:
        self.task, self.steps, self.monitor = task, steps, monitor
        self.done = 0
        self.curve: list[CurvePoint] = []
        self.seconds = 0.0
        self.started = time.monotonic()
        self.unread: Tensor | None = None
        if resume is not None:
            self._load(unpack(resume))

    def run(self) -> LoopResult:
        every = max(1, math.ceil(self.steps / REPORTS))
        while self.done < self.steps:
            raise_if_stopped(self.monitor)
            try:
                scalars = self.task.step(self.done)
            except Finished:
                self._read()
                break
            self.done += 1
            reports = self.done % every == 0 or self.done == self.steps
            keeps = self.monitor.wants_checkpoint()
            self._check(scalars["loss"], now=reports or keeps)
            if reports or keeps:  # a state is kept with the place it is of
                values = {name: float(value) for name, value in scalars.items()}
                self.monitor.progress(self.done, self.steps, **values)
            if reports:
                # JSON has no NaN: a curve with one would come back as no curve, and a job end at its report.
                finite = {name: value for name, value in values.items() if math.isfinite(value)}
                self.curve.append(CurvePoint(self.done, finite))
            if keeps:
                self.monitor.checkpoint(pack(self._state()))
        final = self.curve[-1].values if self.curve else {}
        return LoopResult(tuple(self.curve), final, self._elapsed(), self.done)

    def _check(self, loss: Tensor, *, now: bool) -> None:
        """Raise if a loss is not finite; on a GPU only ``now`` or every so many steps."""
        self.unread = loss if self.unread is None else self.unread + loss
        if now or loss.device.type == "cpu" or self.done % GPU_READS_EVERY == 0:
            self._read()

    def _read(self) -> None:
        """Raise if a loss since the last reading is not finite."""
        if self.unread is None:
            return
        value, self.unread = float(self.unread), None
        if not math.isfinite(value):
            raise TrainingFailed(
                f"The loss is {value} at step {self.done}.",
                code="non_finite",
                hint="Lower the learning rate or the weights of the defense.",
            )

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def _state(self) -> dict[str, Any]:
        return {
            "task": self.task.state_dict(),
            "random": generator_states(),
            "done": self.done,
            "curve": [[point.step, point.values] for point in self.curve],
            "seconds": self._elapsed(),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self.task.load_state_dict(state["task"])
        restore_generators(state["random"])
        self.done = state["done"]
        self.curve = [CurvePoint(step, values) for step, values in state["curve"]]
        self.seconds = state["seconds"]
