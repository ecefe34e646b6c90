"""A network whose BatchNorms are as new is told apart from one that was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.architectures import build
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.recipes.architecture import ArchitectureSpec
from models.results.inspection import CheckpointInspection

OPTIONS = InspectOptions(mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3))


def state_of(name: str, input_size: int = 16) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(build(ArchitectureSpec(name, 10, input_size)).state_dict())


@pytest.fixture
def inspect(tmp_path: Path):
    def read(state: dict[str, torch.Tensor], input_size: int = 16) -> CheckpointInspection:
        torch.save(state, tmp_path / "teacher.pt")
        options = replace(OPTIONS, input_size=input_size)
        return inspect_checkpoint(tmp_path / "teacher.pt", tmp_path / "canonical", options)

    return read


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_a_new_network_is_told(dtype: torch.dtype, inspect) -> None:
    state = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in state_of("wrn-10-1").items()
    }
    (warning,) = inspect(state).warnings
    assert warning.startswith("All 7 BatchNorms have the running statistics of a new network")
    assert "never trained" in warning


def test_a_new_network_without_counters_is_told(inspect) -> None:
    state = {name: tensor for name, tensor in state_of("wrn-10-1").items() if "num_batches" not in name}
    assert any("never trained" in warning for warning in inspect(state).warnings)


@pytest.mark.parametrize("suffix", ["running_mean", "running_var", "num_batches_tracked"])
def test_one_value_that_training_moved_is_enough(suffix: str, inspect) -> None:
    state = state_of("wrn-10-1")
    moved = next(tensor for name, tensor in reversed(state.items()) if name.endswith(suffix))
    moved.view(-1)[-1:] += 1
    assert inspect(state).warnings == ()


def test_a_network_without_batchnorm_says_nothing_of_it(inspect) -> None:
    state = state_of("vgg-11-w16", 32)
    assert inspect(state, 32).warnings == ()
