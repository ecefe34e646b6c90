"""Networks whose BatchNorm saw builtin photographs through a known normalization, and public ones."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from models.architectures import PixelClassifier, build
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.normalization_fit import COMMON, IDENTITY, fit_normalization
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.recipes.architecture import ArchitectureSpec, Normalization
from tests.untraced import untraced

IMAGENET = COMMON["ImageNet's statistics"]
HALF = COMMON["mean 0.5 and deviation 0.5"]


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return make_patches(builtin_photographs(), count=400, size=32, seed=0).float() / 255


def state_of(name: str, normalization: Normalization, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Make a network that has seen ``pixels`` through ``normalization``, with random kernels."""
    torch.manual_seed(0)
    network = build(ArchitectureSpec(name, 10, 32))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        PixelClassifier(network, normalization).train()(pixels)
    return network.state_dict()


def arrays(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in state.items()}


@pytest.mark.parametrize("name", ["wrn-10-1", "resnet-20", "vgg-small-elu"])
@pytest.mark.parametrize("true", [IDENTITY, IMAGENET, HALF, COMMON["pixels in [0, 255]"]])
def test_the_normalization_it_was_trained_with_is_nearest_by_far(
    name: str, true: Normalization, pixels: torch.Tensor
) -> None:
    tensors = arrays(state_of(name, true, pixels))
    right = fit_normalization(tensors, true)
    assert right is not None
    assert not right.wrong
    for other in (IDENTITY, IMAGENET, COMMON["pixels in [0, 255]"]):
        if other != true and HALF not in (other, true):
            fit = fit_normalization(tensors, other)
            assert fit is not None
            assert fit.distance > 5 * right.distance


def test_a_network_that_was_never_trained_says_nothing() -> None:
    assert (
        fit_normalization(arrays(build(ArchitectureSpec("wrn-10-1", 10, 32)).state_dict()), IDENTITY) is None
    )


def test_a_network_without_batchnorm_says_nothing() -> None:
    assert fit_normalization({"conv.weight": np.ones((4, 3, 3, 3))}, IDENTITY) is None


@pytest.mark.parametrize("variance", [0.0, -1.0])
def test_senseless_statistics_say_nothing(variance: float) -> None:
    tensors = {
        "conv.weight": np.ones((4, 3, 3, 3)),
        "bn.running_mean": np.ones(4),
        "bn.running_var": np.full(4, variance),
    }
    assert fit_normalization(tensors, IDENTITY) is None


def stem(height: int, width: int, channels: int = 16) -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, channels, (height, width)), torch.nn.BatchNorm2d(channels, momentum=None)
    )


@pytest.mark.parametrize(("height", "width"), [(1, 3), (5, 3), (7, 7)])
def test_kernels_need_not_be_squares(height: int, width: int, pixels: torch.Tensor) -> None:
    """A layer list may have any; one of 1 x 3 once ended the reader."""
    network = stem(height, width)
    with torch.no_grad():
        PixelClassifier(network, IMAGENET).train()(pixels)
    wrong = fit_normalization(arrays(network.state_dict()), IDENTITY)
    right = fit_normalization(arrays(network.state_dict()), IMAGENET)
    assert wrong is not None and right is not None
    assert wrong.distance > 3 * right.distance


def test_many_large_kernels_cost_little() -> None:
    tensors = {
        "conv.weight": np.full((20_000, 3, 31, 31), 0.01, np.float16),
        "bn.running_mean": np.ones(20_000),
        "bn.running_var": np.ones(20_000),
    }
    began = time.process_time()
    with untraced():
        assert fit_normalization(tensors, IDENTITY) is not None
    assert time.process_time() - began < 30


def test_half_a_batchnorm_says_nothing() -> None:
    """Of a BatchNorm whose variances are BF16 and whose means are not, only the means can be compared."""
    tensors = {"conv.weight": np.ones((4, 3, 3, 3)), "bn.running_mean": np.ones(4)}
    assert fit_normalization(tensors, IDENTITY) is None


def test_statistics_of_two_types_are_inspected(tmp_path: Path, pixels: torch.Tensor) -> None:
    state = state_of("wrn-10-1", IMAGENET, pixels)
    mixed = {
        name: tensor.bfloat16() if name.endswith("running_var") else tensor for name, tensor in state.items()
    }
    torch.save(mixed, tmp_path / "teacher.pt")
    got = inspect_checkpoint(tmp_path / "teacher.pt", tmp_path / "out", InspectOptions())
    assert got.normalization_source == "assumed"


def test_an_undeclared_normalization_is_taken_from_the_weights(tmp_path: Path, pixels: torch.Tensor) -> None:
    torch.save(state_of("wrn-10-1", IMAGENET, pixels), tmp_path / "teacher.pt")
    got = inspect_checkpoint(tmp_path / "teacher.pt", tmp_path / "out", InspectOptions())
    assert got.normalization_source == "estimated"
    assert got.normalization.std[0] < 0.3
    assert any("no normalization was declared" in warning for warning in got.warnings)


def test_a_wrong_declaration_is_kept_and_noticed(tmp_path: Path, pixels: torch.Tensor) -> None:
    torch.save(state_of("wrn-10-1", IDENTITY, pixels), tmp_path / "teacher.pt")
    options = InspectOptions(mean=IMAGENET.mean, std=IMAGENET.std)
    got = inspect_checkpoint(tmp_path / "teacher.pt", tmp_path / "out", options)
    assert (got.normalization, got.normalization_source) == (IMAGENET, "declared")
    assert any("Check mean and std" in warning for warning in got.warnings)


def test_a_right_declaration_passes_in_silence(tmp_path: Path, pixels: torch.Tensor) -> None:
    torch.save(state_of("wrn-10-1", IMAGENET, pixels), tmp_path / "teacher.pt")
    options = InspectOptions(mean=IMAGENET.mean, std=IMAGENET.std)
    got = inspect_checkpoint(tmp_path / "teacher.pt", tmp_path / "out", options)
    assert not any("BatchNorm fits" in warning for warning in got.warnings)
