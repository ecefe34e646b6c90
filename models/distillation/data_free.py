"""What the data-free methods have in common: a student, its optimizer, and images nobody was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from models.architectures import StagedClassifier
from models.architectures.cost import count_macs
from models.architectures.staged import ChainedClassifier
from models.distillation.defense import Defense
from models.distillation.distilled import Distilled
from models.engine.compiled import AUTO_MACS
from models.engine.loop import LoopResult, Task
from models.engine.schedule import Schedule, scheduled_rate
from models.recipes.engine import Compile
from models.results.training import Decision

Kind = Literal["adam", "sgd"]

#: Of Adam and SGD; laid out as their parameters.
_MOMENTS = frozenset({"exp_avg", "exp_avg_sq", "momentum_buffer"})


class DataFreeTask(Task, Protocol):
    """A method that a defense can be joined to."""

    teacher: StagedClassifier
    student: StagedClassifier
    defense: Defense
    steps: int

    @property
    def optimizer(self) -> ScheduledOptimizer:
        """The student's."""

    def pseudo_images(self, count: int, stream: str) -> Tensor:
        """Make normalized images (count, 3, H, W) as the student sees them.

        Equal streams give equal ones as long as generator or pool are the same.
        """

    def postpone(self, steps: int) -> None:
        """Let the learning rates of all but the student reach their end ``steps`` later.

        A defense that runs the last steps again goes back to a state (whose ``defense`` is the defense's),
        and the steps' numbers go on.
        """


def answer(teacher: StagedClassifier, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the logits (N, K) and, where keeping them costs nothing, the stages' outputs.

    A vaccine computes from them what its shuffled copies have in common with the teacher.
    """
    if not isinstance(teacher, ChainedClassifier):
        return teacher(x), ()
    outputs = teacher.forward_stages(x)
    return outputs.logits, outputs.stages


def wants_compiling(when: Compile, student: StagedClassifier, side: int, images: int) -> bool:
    """Decide whether to compile a student's step, by the size of the *whole* run, also of a resumed one.

    Args:
        when: The recipe's word; ``auto`` compiles runs of at least ``AUTO_MACS``.
        student: Who learns.
        side: Of its images in pixels.
        images: It will see, counting repetitions. A backward pass counts as two forward ones.
    """
    if when == "auto":
        return 3.0 * images * count_macs(student, side) >= AUTO_MACS
    return when == "always"


class ScheduledOptimizer:
    """An optimizer whose learning rate is a function of the step, and which can start again.

    The fused kernel goes through memory and does not look at strides: a channels-last weight with a moment or
    a gradient in the usual layout would silently be updated with other elements' numbers. A resumed state is
    in the usual layout, and so may be a gradient that no ``backward`` has accumulated; both are laid out as
    the parameter is.
    """

    #: What ``plan`` takes unless it is told otherwise.
    kind: Kind = "adam"

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        learning_rate: float,
        schedule: Schedule,
        steps: int,
        *,
        weight_decay: float = 0.0,
    ) -> None:
        """Plan the rates of steps 0 to ``steps - 1``."""
        self.parameters = list(parameters)
        self.weight_decay = weight_decay
        self.plan(learning_rate, schedule, 0, steps)

    def plan(
        self, learning_rate: float, schedule: Schedule, start: int, steps: int, kind: Kind | None = None
    ) -> None:
        """Forget all moments; from step ``start`` on, follow ``schedule`` for ``steps`` steps.

        Args:
            learning_rate: The first.
            schedule: How it falls.
            start: First step of the plan.
            steps: Length of the plan.
            kind: Go on with this optimizer; None stays with the present one.
        """
        self.kind = kind or self.kind
        self.optimizer: torch.optim.Optimizer
        # Fused: one kernel for all parameters, a twentieth of a step of the smallest students.
        if self.kind == "adam":
            self.optimizer = torch.optim.Adam(
                self.parameters, lr=learning_rate, weight_decay=self.weight_decay, fused=True
            )
        else:
            self.optimizer = torch.optim.SGD(
                self.parameters,
                lr=learning_rate,
                momentum=0.9,
                weight_decay=self.weight_decay,
                fused=True,
            )
        self.learning_rate, self.schedule, self.start, self.steps = learning_rate, schedule, start, steps

    def step(self, index: int) -> None:
        """Take one step at the rate of step ``index``."""
        place = min(index - self.start, self.steps - 1)
        rate = scheduled_rate(self.schedule, self.learning_rate, place, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for parameter in self.parameters:
            gradient = parameter.grad
            if gradient is not None and gradient.stride() != parameter.stride():
                parameter.grad = _laid_out(gradient, parameter)
        self.optimizer.step()

    def postpone(self, steps: int) -> None:
        """Reach every rate of the plan so many steps later."""
        self.start += steps

    def zero_grad(self) -> None:
        """Drop the gradients."""
        self.optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """Return moments and plan."""
        plan = [self.learning_rate, self.schedule, self.start, self.steps, self.kind]
        return {"optimizer": self.optimizer.state_dict(), "plan": plan}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.plan(*state["plan"])
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, moments in self.optimizer.state.items():
            for name in _MOMENTS & moments.keys():
                if moments[name] is not None:
                    moments[name] = _laid_out(moments[name], parameter)


def _laid_out(values: Tensor, parameter: Tensor) -> Tensor:
    """Return ``values`` with the memory layout of ``parameter``."""
    return torch.empty_like(parameter, requires_grad=False).copy_(values)


class ScheduledAdam(ScheduledOptimizer):
    """Adam with its default betas."""


class ScheduledSgd(ScheduledOptimizer):
    """Stochastic gradient descent with momentum 0.9."""

    kind: Kind = "sgd"


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
