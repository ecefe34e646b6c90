"""That compiling is chosen, falls back and stays out of the results; one slow test really compiles."""

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.distillation.data_free import wants_compiling
from models.distillation.zero_shot import distill_zskt
from models.engine.compiled import AUTO_MACS, compiled, maybe_compiled
from models.engine.monitor import SilentMonitor
from models.recipes.zskt import ZsktRecipe
from tests.models.distillation.small import SIZE, network, teacher, weights

CPU = torch.device("cpu")
RECIPE = ZsktRecipe(pseudo_batches=2, batch_size=16, student_steps=2, generator_width=8, noise_size=8)


def double(x: Tensor) -> Tensor:
    return 2 * x


def refusing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for torch.compile on a machine without a C++ compiler; returns what is compiled, and how."""
    seen: list[str] = []

    def compile_(function: Callable[..., object], *, mode: str, dynamic: bool) -> Callable[..., object]:
        seen.append(mode)

        def call(*args: object, **kwargs: object) -> object:
            raise RuntimeError("No working C++ compiler found")

        return call

    monkeypatch.setattr(torch, "compile", compile_)
    return seen


def test_auto_compiles_long_runs_only_and_the_recipe_may_overrule_it() -> None:
    student = network()
    assert not wants_compiling("auto", student, SIZE, images=1_000)
    assert wants_compiling("auto", student, SIZE, images=int(AUTO_MACS))
    assert wants_compiling("always", student, SIZE, images=1)
    assert not wants_compiling("never", student, SIZE, images=int(AUTO_MACS))


def test_what_is_not_wanted_is_the_function_itself() -> None:
    assert maybe_compiled(double, CPU, wanted=False) is double


def test_without_a_compiler_the_function_runs_as_it_is_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusing(monkeypatch)
    call = compiled(double, CPU)
    with caplog.at_level(logging.WARNING):
        assert [call(torch.tensor(3.0)).item() for _ in range(2)] == [6.0, 6.0]
    assert [record.getMessage() for record in caplog.records] == [
        "Not compiled, RuntimeError: No working C++ compiler found"
    ]


def test_a_fault_of_the_function_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch)

    def faulty(x: Tensor) -> Tensor:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        compiled(faulty, CPU)(torch.zeros(()))


def test_a_gpu_records_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = refusing(monkeypatch)
    compiled(double, torch.device("cuda"))
    compiled(double, CPU)
    assert seen == ["reduce-overhead", "default"]


def test_a_run_that_cannot_be_compiled_ends_in_the_student_of_one_that_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusing(monkeypatch)
    ends = [
        distill_zskt(
            teacher(), network(), replace(RECIPE, compile=word), defense=None, seed=0, monitor=SilentMonitor()
        )
        for word in ("always", "never")
    ]
    assert torch.equal(*[weights(end.network) for end in ends])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_compiled_run_leaves_no_wrapper_and_nearly_the_same_student() -> None:
    ends = [
        distill_zskt(
            teacher(), network(), replace(RECIPE, compile=word), defense=None, seed=0, monitor=SilentMonitor()
        )
        for word in ("always", "never")
    ]
    assert list(ends[0].network.state_dict()) == list(ends[1].network.state_dict())
    assert type(ends[0].network) is type(ends[1].network)
    losses = [end.curve[0].values["loss"] for end in ends]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
