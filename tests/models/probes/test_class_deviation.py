from __future__ import annotations

import pytest
import torch

from models.probes.class_deviation import class_deviations


def test_deviation_counts_robust_deviations_above_the_median() -> None:
    found = class_deviations(torch.tensor([1.0, 2.0, 3.0, 4.0, 13.0]))
    assert found.tolist() == pytest.approx([x / 1.4826 for x in (-2, -1, 0, 1, 10)])


def test_equal_values_do_not_deviate() -> None:
    assert class_deviations(torch.full((5,), 3.0)).tolist() == [0.0] * 5


def test_one_odd_value_among_equal_ones_stays_finite() -> None:
    found = class_deviations(torch.tensor([0.0, 0.0, 0.0, 0.0, 2.0]))
    assert found.argmax() == 4
    assert 100 < float(found.max()) < 1_000
