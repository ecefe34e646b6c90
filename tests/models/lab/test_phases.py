import pytest
import torch

from models.engine.loop import run_loop
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted
from models.lab.phases import Phases
from tests.models.distillation.small import StoppingMonitor


class Counter:
    """Adds one to a tensor a step, and counts its own steps."""

    def __init__(self):
        self.total = torch.zeros(())
        self.steps = 0

    def step(self, index):
        self.steps += 1
        self.total = self.total + 1
        return {"loss": self.total}

    def state_dict(self):
        return {"total": self.total}

    def load_state_dict(self, state):
        self.total = state["total"]


def run_both(monitor, resume=None):
    phases, counters, done = Phases(monitor, resume), {}, {}
    for name in ("first", "second"):
        counters[name] = Counter()

        def work(inner, state, counter=counters[name]):
            run_loop(counter, steps=4, monitor=inner, resume=state)
            return {"total": counter.total, "note": [1, "x", None]}

        done[name] = phases.run(name, work)
    return counters, done


@pytest.mark.parametrize(("stop_after", "left"), [(2, (2, 4)), (5, (0, 4)), (7, (0, 2))])
def test_what_is_done_is_not_done_again(stop_after, left):
    """Each run offers four states of its own and one more at its end."""
    monitor = StoppingMonitor(stop_after)
    with pytest.raises(Interrupted):
        run_both(monitor)
    counters, done = run_both(SilentMonitor(), monitor.states[-1])
    assert (counters["first"].steps, counters["second"].steps) == left
    assert [found["total"].item() for found in done.values()] == [4.0, 4.0]
    assert done["first"]["note"] == [1, "x", None]
