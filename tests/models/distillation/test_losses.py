import math

import pytest
import torch

from models.distillation.losses import (
    attention_distance,
    attention_map,
    batch_divergence,
    element_divergence,
    sample_divergence,
)

# Two classes with probabilities (3/4, 1/4) and (1/2, 1/2).
P = torch.tensor([[math.log(3.0), 0.0]])
Q = torch.zeros(1, 2)
KL_PQ = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
KL_QP = 0.5 * math.log(2 / 3) + 0.5 * math.log(2.0)


def test_the_first_argument_is_the_reference() -> None:
    assert sample_divergence(P, Q).item() == pytest.approx(KL_PQ, rel=1e-5)
    assert sample_divergence(Q, P).item() == pytest.approx(KL_QP, rel=1e-5)


def test_the_element_mean_is_the_batch_mean_divided_by_the_classes() -> None:  # trap 13
    both = torch.cat([P, Q])
    assert batch_divergence(both, both.flip(0)).item() == pytest.approx((KL_PQ + KL_QP) / 2, rel=1e-5)
    ratio = batch_divergence(P, Q) / element_divergence(P, Q)
    assert ratio.item() == pytest.approx(2.0)


def test_temperature_divides_logits_and_adds_no_factor() -> None:  # trap 14
    assert sample_divergence(4 * P, Q, 4.0).item() == pytest.approx(KL_PQ, rel=1e-5)


def test_an_attention_map_squares_averages_channels_and_has_unit_length() -> None:  # trap 17
    activation = torch.tensor([[[[1.0, -3.0]], [[1.0, 1.0]]]])  # (1, 2, 1, 2): squares average to 1 and 5
    expected = torch.tensor([[1.0, 5.0]]) / math.sqrt(26.0)
    torch.testing.assert_close(attention_map(activation), expected)


def test_the_attention_distance_averages_over_positions_and_sums_over_stages() -> None:  # trap 17
    student = torch.tensor([[[[1.0, 0.0]]]])
    teacher = torch.tensor([[0.0, 1.0]])
    assert attention_distance([student, student], [teacher, teacher]).item() == pytest.approx(2.0)
