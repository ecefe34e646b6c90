"""One run made of several: canaries, masks for one threshold after the other, then the student.

Each phase is a training loop of its own that knows nothing of the others. Its progress is shifted to where it
lies in the whole run, and the states it offers are wrapped with what the finished phases left behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from torch import Tensor, nn

from models.distillation.robustkd.threshold_search import Candidate
from models.engine.monitor import Monitor, ResumeState

_INNER = "phase."
_MASK = "mask."
_COPY = "copy."


@dataclass
class Search:
    """What the thresholds tried so far left behind."""

    candidates: list[Candidate] = field(default_factory=list)
    masks: list[Mapping[str, Tensor]] = field(default_factory=list)
    """State of each candidate's ``FeatureMask``, in the same order."""
    mask: Mapping[str, Tensor] = field(default_factory=dict)
    """State of the suspect's trained mask at the threshold that is being tried, else empty."""
    copy: Mapping[str, Tensor] = field(default_factory=dict)
    """State of the network that carries the canaries, once they are planted."""
    planted: dict[str, float] = field(default_factory=dict)
    """How much each canary raises the rate of its target there before any edit, by name."""
    seconds: float = 0.0
    """Of training canaries and masks; measuring them is not counted."""
    finished: bool = False
    """Whether a threshold is chosen and the student is learning."""

    def add(self, candidate: Candidate) -> None:
        """Keep a measured candidate together with ``mask``, which is free for the next threshold."""
        self.candidates.append(candidate)
        self.masks.append(self.mask)
        self.mask = {}

    def mask_of(self, candidate: Candidate) -> Mapping[str, Tensor]:
        """Return the mask's state that belongs to ``candidate``."""
        return self.masks[self.candidates.index(candidate)]


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a module's state on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}


def wrap(inner: ResumeState, search: Search) -> ResumeState:
    """Join the state of the running phase with what the finished ones left behind."""
    tensors = {_INNER + name: tensor for name, tensor in inner.tensors.items()}
    for index, mask in enumerate([*search.masks, search.mask]):
        tensors |= {f"{_MASK}{index}.{name}": tensor for name, tensor in mask.items()}
    # Once a threshold is chosen, nobody asks the copy any more.
    copy = {} if search.finished else search.copy
    tensors |= {_COPY + name: tensor for name, tensor in copy.items()}
    values = {
        "phase": dict(inner.values),
        "planted": search.planted,
        "candidates": [asdict(candidate) for candidate in search.candidates],
        "seconds": search.seconds,
        "finished": search.finished,
    }
    return ResumeState(tensors, values)


def unwrap(state: ResumeState) -> tuple[ResumeState, Search]:
    """Take apart what ``wrap`` joined."""
    inner = {name.removeprefix(_INNER): t for name, t in state.tensors.items() if name.startswith(_INNER)}
    recorded = cast(list[dict[str, Any]], state.values["candidates"])
    masks: list[dict[str, Tensor]] = [{} for _ in range(len(recorded) + 1)]
    for name, tensor in state.tensors.items():
        if name.startswith(_MASK):
            index, _, parameter = name.removeprefix(_MASK).partition(".")
            masks[int(index)][parameter] = tensor
    search = Search(
        [Candidate(**values) for values in recorded],
        list(masks[:-1]),
        masks[-1],
        {name.removeprefix(_COPY): t for name, t in state.tensors.items() if name.startswith(_COPY)},
        dict(cast(dict[str, float], state.values["planted"])),
        seconds=cast(float, state.values["seconds"]),
        finished=bool(state.values["finished"]),
    )
    return ResumeState(inner, cast(dict[str, object], state.values["phase"])), search


class PhaseMonitor:
    """Shows one phase to the outer monitor as a stretch of the whole run."""

    def __init__(self, outer: Monitor, search: Search, *, before: int, after: int) -> None:
        """Place the phase.

        Args:
            outer: Hears of the whole run.
            search: What the finished phases left behind; goes into every state.
            before: Steps of the phases before this one.
            after: Steps of those still to come, at most.
        """
        self.outer = outer
        self.search = search
        self.before = before
        self.after = after

    def progress(self, done: int, total: int, **scalars: float) -> None:
        """Report the phase's progress as the whole run's."""
        self.outer.progress(self.before + done, self.before + total + self.after, **scalars)

    def checkpoint(self, state: ResumeState) -> None:
        """Offer the phase's state together with the finished phases'."""
        self.outer.checkpoint(wrap(state, self.search))

    def wants_checkpoint(self) -> bool:
        """Ask the outer monitor."""
        return self.outer.wants_checkpoint()

    def should_stop(self) -> bool:
        """Ask the outer monitor."""
        return self.outer.should_stop()
