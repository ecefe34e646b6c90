import math

import pytest
import torch
from torch import nn

from models.distillation.feature_distance import (
    Connectors,
    channel_margins,
    feature_distance,
    layer_weights,
    margin_relu,
    partial_l2,
)


def norm_with(gamma: list[float], beta: list[float]) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(len(gamma))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(gamma))
        norm.bias.copy_(torch.tensor(beta))
    return norm


def test_margins_equal_the_monte_carlo_mean_of_the_negative_part() -> None:
    gamma, beta = [1.0, 0.5, 2.0, -1.5], [0.0, 0.4, -1.0, 0.7]
    margins = channel_margins(norm_with(gamma, beta))
    draws = torch.randn(400_000, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    draws = draws * torch.tensor(gamma) + torch.tensor(beta)
    for channel in range(4):
        negative = draws[:, channel][draws[:, channel] < 0]
        assert margins[channel].item() == pytest.approx(negative.mean().item(), abs=0.01)


def test_margin_of_an_almost_never_negative_channel_is_three_deviations() -> None:
    assert channel_margins(norm_with([0.5], [5.0])).item() == pytest.approx(-1.5)


def test_trap_39_zero_gamma_gives_a_finite_margin() -> None:
    margins = channel_margins(norm_with([0.0, 0.0, 0.0], [-0.3, 0.0, 0.3]))
    torch.testing.assert_close(margins, torch.tensor([-0.3, 0.0, 0.0]), atol=1e-6, rtol=0)


def test_trap_39_sign_of_gamma_does_not_matter() -> None:
    torch.testing.assert_close(
        channel_margins(norm_with([-0.8], [0.2])), channel_margins(norm_with([0.8], [0.2]))
    )


def test_margin_relu_floors_each_channel_at_its_own_margin() -> None:
    feature = torch.tensor([-5.0, -5.0]).view(1, 2, 1, 1)
    floored = margin_relu(feature, torch.tensor([-1.0, -2.0]))
    assert floored.flatten().tolist() == [-1.0, -2.0]


@pytest.mark.parametrize(
    ("student", "target", "expected"),
    [
        (-2.0, -1.0, 0.0),  # both off, student below: no pull
        (-1.0, -1.0, 0.0),
        (-0.5, -1.0, 0.25),  # student above a negative target: pushed down
        (2.0, -1.0, 9.0),
        (-2.0, 1.0, 9.0),  # positive target always counts
        (2.0, 1.0, 1.0),
        (-1.0, 0.0, 0.0),  # zero is not positive
    ],
)
def test_partial_l2_truth_table(student: float, target: float, expected: float) -> None:
    assert partial_l2(torch.tensor([student]), torch.tensor([target])).item() == pytest.approx(expected)


def test_trap_40_partial_l2_is_a_sum_over_elements() -> None:
    small = partial_l2(torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4))
    large = partial_l2(torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8))
    assert (small.item(), large.item()) == (16.0, 64.0)


def test_trap_40_last_layer_weighs_most() -> None:
    assert layer_weights(3) == (0.25, 0.5, 1.0)


def test_feature_distance_is_a_weighted_sum_per_image() -> None:
    student = [torch.zeros(2, 1, 2, 2), torch.zeros(2, 3, 1, 1)]
    teacher = [torch.ones(2, 1, 2, 2), torch.full((2, 3, 1, 1), 2.0)]
    distance = feature_distance(student, teacher, [torch.zeros(1), torch.zeros(3)])
    assert distance.item() == pytest.approx(0.5 * 4.0 + 1.0 * 3 * 4.0)


def test_feature_distance_does_not_reach_the_teacher() -> None:
    teacher = torch.ones(1, 1, 1, 1, requires_grad=True)
    student = torch.zeros(1, 1, 1, 1, requires_grad=True)
    feature_distance([student], [teacher], [torch.zeros(1)]).backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_connectors_map_to_the_teachers_channels_with_the_papers_initial_spread() -> None:
    connectors = Connectors((16, 32), (64, 512), torch.Generator().manual_seed(0))
    out = connectors([torch.zeros(2, 16, 4, 4), torch.zeros(2, 32, 2, 2)])
    assert [tuple(feature.shape) for feature in out] == [(2, 64, 4, 4), (2, 512, 2, 2)]
    weight = next(connectors.layers[1].parameters())
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 512), rel=0.05)


def test_without_a_relu_behind_it_negative_responses_count_too() -> None:
    student, teacher = torch.full((1, 1, 1, 1), -3.0), torch.full((1, 1, 1, 1), -1.0)
    assert feature_distance([student], [teacher], [torch.tensor([-0.5])]) == 0.0
    assert feature_distance([student], [teacher], [None]) == 4.0
