"""All the library knows of the outside world: a place to report to, and someone who may say stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

from models.errors import Interrupted

#: What a kept state is made of: raise it with every change to what ``pack``, the loop, a task or a stage puts
#: into one, so that no run is given a state that it cannot read; and with what ``auto`` takes, so that no
#: student goes on by another method.
RESUME_FORMAT = 4


@dataclass(frozen=True)
class ResumeState:
    """Everything a run needs to go on where it was.

    ``tensors`` holds weights, buffers, optimizer moments and random states by dotted name; ``values`` holds
    step counters and schedules, and survives a round trip through JSON.
    """

    tensors: Mapping[str, Tensor]
    values: Mapping[str, object]


class Monitor(Protocol):
    """Receives progress and decides whether work goes on."""

    def progress(self, done: int, total: int, **scalars: float) -> None:
        """Tell that ``done`` of ``total`` steps are finished, with named numbers of the moment."""

    def checkpoint(self, state: ResumeState) -> None:
        """Offer a state to resume from; the receiver decides whether to keep it."""

    def wants_checkpoint(self) -> bool:
        """Whether the receiver would keep a state now; building one costs a copy of the weights."""

    def should_stop(self) -> bool:
        """Whether to stop at this step boundary."""


class SilentMonitor:
    """Reports to nobody and never stops."""

    def progress(self, done: int, total: int, **scalars: float) -> None:
        """Ignore the report."""

    def checkpoint(self, state: ResumeState) -> None:
        """Ignore the state."""

    def wants_checkpoint(self) -> bool:
        """Ask for no state."""
        return False

    def should_stop(self) -> bool:
        """Never stop."""
        return False


def raise_if_stopped(monitor: Monitor) -> None:
    """Raise ``Interrupted`` if the monitor asks to stop; call it at step boundaries."""
    if monitor.should_stop():
        raise Interrupted("The run was asked to stop.", hint="Resume it, or submit it again.")
