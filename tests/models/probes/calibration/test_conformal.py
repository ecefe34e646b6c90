from __future__ import annotations

import numpy as np
import pytest

from models.probes.calibration.conformal import (
    conformal_p_value,
    false_positive_band,
    fewest_references,
    smallest_level,
)


def test_p_value_counts_the_network_itself_and_ties_against_it() -> None:
    assert conformal_p_value(5.0, [1.0, 5.0, 9.0]) == 0.75
    assert conformal_p_value(10.0, [1.0, 5.0, 9.0]) == 0.25


def test_nothing_can_be_said_without_references() -> None:
    assert conformal_p_value(1e9, []) == 1.0


def test_nineteen_references_allow_five_percent_and_ninety_nine_one() -> None:
    assert (smallest_level(19), fewest_references(0.05)) == (0.05, 19)
    assert (smallest_level(99), fewest_references(0.01)) == (0.01, 99)


@pytest.mark.parametrize("n", range(150))
def test_a_band_exists_exactly_where_a_detection_is_possible(n: int) -> None:
    assert (false_positive_band(n) is not None) == (n >= 19)
    assert (false_positive_band(n) is not None) == (smallest_level(n) <= 0.05)


def test_rounding_loses_no_rank() -> None:
    """0.29 * 100 is 28.999999999999996 in floating point."""
    low, high = false_positive_band(99, alpha=0.29) or (0.0, 0.0)
    assert low < 0.29 < high
    assert (low + high) / 2 == pytest.approx(0.29, abs=0.003)


def test_with_nineteen_references_the_band_is_that_of_a_minimum() -> None:
    """Beta(1, 19): 1 - (1 - x)^19."""
    low, high = false_positive_band(19) or (0.0, 0.0)
    assert 1 - (1 - low) ** 19 == pytest.approx(0.05)
    assert 1 - (1 - high) ** 19 == pytest.approx(0.95)


@pytest.mark.parametrize("n", [19, 59, 99])
def test_the_realised_rate_of_a_set_lies_in_the_band_as_often_as_stated(n: int) -> None:
    """Scores of any continuous law: the rate of one set is the tail beyond its l-th largest score."""
    random = np.random.default_rng(n)
    low, high = false_positive_band(n) or (0.0, 0.0)
    allowed = (n + 1) // 20
    rates = 1 - np.sort(random.random((20_000, n)), axis=1)[:, n - allowed]
    assert rates.mean() == pytest.approx(allowed / (n + 1), abs=0.002)
    assert np.mean((low <= rates) & (rates <= high)) == pytest.approx(0.9, abs=0.01)
