"""What the data-free methods have in common: a student, its optimizer, and images nobody was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from models.architectures import StagedClassifier
from models.distillation.defense import Defense
from models.distillation.distilled import Distilled
from models.engine.loop import LoopResult, Task
from models.engine.schedule import Schedule, scheduled_rate
from models.results.training import Decision


class DataFreeTask(Task, Protocol):
    """A method that a defense can be joined to."""

    teacher: StagedClassifier
    student: StagedClassifier
    optimizer: ScheduledAdam
    defense: Defense
    steps: int

    def pseudo_images(self, count: int, stream: str) -> Tensor:
        """Make normalized images (count, 3, H, W) as the student sees them; equal streams give equal ones."""


class ScheduledAdam:
    """Adam whose learning rate is a function of the step, and which can start again."""

    def __init__(
        self, parameters: Sequence[nn.Parameter], learning_rate: float, schedule: Schedule, steps: int
    ) -> None:
        """Plan the rates of steps 0 to ``steps - 1``."""
        self.parameters = list(parameters)
        self.plan(learning_rate, schedule, 0, steps)

    def plan(self, learning_rate: float, schedule: Schedule, start: int, steps: int) -> None:
        """Forget all moments; from step ``start`` on, follow ``schedule`` for ``steps`` steps."""
        self.adam = torch.optim.Adam(self.parameters, lr=learning_rate)
        self.learning_rate, self.schedule, self.start, self.steps = learning_rate, schedule, start, steps

    def step(self, index: int) -> None:
        """Take one step at the rate of step ``index``."""
        place = min(index - self.start, self.steps - 1)
        rate = scheduled_rate(self.schedule, self.learning_rate, place, self.steps)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()

    def zero_grad(self) -> None:
        """Drop the gradients."""
        self.adam.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """Return moments and plan."""
        plan = [self.learning_rate, self.schedule, self.start, self.steps]
        return {"adam": self.adam.state_dict(), "plan": plan}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.plan(*state["plan"])
        self.adam.load_state_dict(state["adam"])


def finish(
    student: StagedClassifier, result: LoopResult, images_seen: int, decisions: Sequence[Decision] = ()
) -> Distilled:
    """Put the student into evaluation mode, float32 and the usual memory layout, and write its record."""
    student.to(memory_format=torch.contiguous_format)
    return Distilled(
        network=student.eval(),
        curve=result.curve,
        decisions=tuple(decisions),
        images_seen=images_seen,
        seconds=result.seconds,
        final=result.final,
        steps=result.steps,
    )
