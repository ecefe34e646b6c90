import json
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from models.engine.loop import GPU_READS_EVERY, REPORTS, Finished, run_loop
from models.engine.monitor import ResumeState, SilentMonitor
from models.errors import Interrupted, TrainingFailed


class Counter:
    """Adds noise from torch's global generator, as dropout would."""

    def __init__(self, fails_at: int = -1, ends_at: int = -1) -> None:
        self.total = torch.zeros(())
        self.fails_at, self.ends_at = fails_at, ends_at

    def step(self, index: int) -> Mapping[str, Tensor]:
        if index == self.ends_at:
            raise Finished
        self.total = self.total + torch.randn(())
        return {"loss": torch.tensor(float("nan")) if index == self.fails_at else self.total}

    def state_dict(self) -> dict[str, Any]:
        return {"total": self.total}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.total = state["total"]


class Recorder(SilentMonitor):
    def __init__(self, stop_after: int = -1) -> None:
        self.reports: list[int] = []
        self.states: list[ResumeState] = []
        self.stop_after = stop_after

    def progress(self, done: int, total: int, **scalars: float) -> None:
        self.reports.append(done)

    def wants_checkpoint(self) -> bool:
        return True

    def checkpoint(self, state: ResumeState) -> None:
        self.states.append(ResumeState(state.tensors, json.loads(json.dumps(state.values))))

    def should_stop(self) -> bool:
        return len(self.states) == self.stop_after


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened() -> None:
    whole = Counter()
    expected = run_loop(whole, steps=7, monitor=SilentMonitor(), seed=3)
    monitor = Recorder(stop_after=4)
    with pytest.raises(Interrupted):
        run_loop(Counter(), steps=7, monitor=monitor, seed=3)
    resumed = Counter()
    result = run_loop(resumed, steps=7, monitor=SilentMonitor(), resume=monitor.states[-1], seed=3)
    assert torch.equal(resumed.total, whole.total)
    assert result.curve == expected.curve


def test_a_stop_takes_effect_before_the_next_step() -> None:
    monitor = Recorder(stop_after=2)
    with pytest.raises(Interrupted):
        run_loop(Counter(), steps=9, monitor=monitor)
    assert len(monitor.states) == 2


def test_a_loss_that_is_not_a_number_ends_the_run() -> None:
    with pytest.raises(TrainingFailed) as caught:
        run_loop(Counter(fails_at=3), steps=9, monitor=SilentMonitor())
    assert caught.value.code == "non_finite"


def test_a_number_beside_the_loss_that_is_not_finite_stays_out_of_the_curve() -> None:
    class Diverging(Counter):
        def step(self, index: int) -> Mapping[str, Tensor]:
            return {**super().step(index), "inversion_loss": torch.tensor(float("nan"))}

    result = run_loop(Diverging(), steps=2, monitor=SilentMonitor())
    assert [set(point.values) for point in result.curve] == [{"loss"}, {"loss"}]
    assert set(result.final) == {"loss"}
    json.dumps(result.final, allow_nan=False)


def test_a_long_run_reports_about_as_often_as_a_short_one_and_once_at_its_end() -> None:
    monitor = Recorder()
    monitor.wants_checkpoint = lambda: False  # type: ignore[method-assign]
    run_loop(Counter(), steps=1001, monitor=monitor)
    assert REPORTS / 2 < len(monitor.reports) <= REPORTS + 1
    assert monitor.reports[-1] == 1001


def test_whoever_keeps_a_state_has_just_heard_which_step_it_is_of() -> None:
    """Of 401 steps every third is reported; a state was kept with the place of a report before it."""
    monitor = Recorder()
    result = run_loop(Counter(), steps=401, monitor=monitor)
    assert monitor.reports == list(range(1, 402)) and len(monitor.states) == 401
    assert [point.step for point in result.curve] == [*range(3, 402, 3), 401]


def test_a_task_may_finish_before_its_end() -> None:
    assert run_loop(Counter(ends_at=2), steps=5, monitor=SilentMonitor()).steps == 2


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    run_loop(Counter(), steps=3, monitor=SilentMonitor())
    assert torch.equal(torch.get_rng_state(), before)


class Queued:
    """A loss on a GPU, as far as the loop looks at it: a number that counts how often it is waited for."""

    device = torch.device("cuda")
    reads = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def __add__(self, other: "Queued") -> "Queued":
        return Queued(self.value + other.value)

    def __float__(self) -> float:
        Queued.reads += 1
        return self.value


class OnGpu(Counter):
    def step(self, index: int) -> Mapping[str, Any]:
        if index == self.ends_at:
            raise Finished
        return {"loss": Queued(float("nan") if index == self.fails_at else 1.0)}


class Unstored(Recorder):
    def wants_checkpoint(self) -> bool:
        return False


def test_on_a_gpu_the_loss_is_waited_for_at_reports_and_now_and_then() -> None:
    Queued.reads = 0
    monitor = Unstored()
    run_loop(OnGpu(), steps=20_000, monitor=monitor)
    assert len(monitor.reports) == REPORTS
    # 100 steps a report: one reading for its values, and one check at each and three times between.
    assert Queued.reads == REPORTS + 20_000 // GPU_READS_EVERY


def test_on_a_gpu_a_loss_that_is_not_a_number_ends_the_run_a_little_later() -> None:
    with pytest.raises(TrainingFailed) as caught:
        run_loop(OnGpu(fails_at=3), steps=20_000, monitor=Unstored())
    assert caught.value.code == "non_finite"
    assert f"step {GPU_READS_EVERY}." in str(caught.value)


def test_on_a_gpu_a_task_that_finishes_early_is_not_done_before_its_last_losses_are_read() -> None:
    with pytest.raises(TrainingFailed) as caught:
        run_loop(OnGpu(fails_at=27, ends_at=30), steps=20_000, monitor=Unstored())
    assert caught.value.code == "non_finite"
