from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.probes.calibration.combine import combine, squared_excess
from models.probes.calibration.conformal import false_positive_band


def correlated(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Skewed scores of three probes that share a part."""
    return random.exponential(size=(*shape, 3)) * [1.0, 0.2, 5.0] + random.normal(size=(*shape, 1))


def rate_of_set(random: np.random.Generator, references: np.ndarray, trials: int) -> float:
    return float(np.mean([combine(s, references).p_value <= 0.05 for s in correlated(random, trials)]))


def test_the_combined_test_keeps_its_level_on_average() -> None:
    random = np.random.default_rng(0)
    hits = [combine(correlated(random), correlated(random, 19)).p_value <= 0.05 for _ in range(3_000)]
    assert np.mean(hits) == pytest.approx(0.05, abs=0.012)  # three standard errors


def test_the_realised_rate_of_combined_sets_lies_in_the_band() -> None:
    """Exact for one probe; the scale, which depends on the audited network, hardly changes it."""
    random = np.random.default_rng(1)
    low, high = false_positive_band(39) or (0.0, 0.0)
    rates = np.array([rate_of_set(random, correlated(random, 39), 150) for _ in range(60)])
    # A rate is measured on 150 networks: leave it two standard errors.
    slack = 2 * np.sqrt(0.05 * 0.95 / 150)
    assert np.mean((rates >= low - slack) & (rates <= high + slack)) >= 0.88
    assert rates.mean() == pytest.approx(0.05, abs=0.015)


def test_one_loud_probe_of_three_is_enough_with_nineteen_references() -> None:
    """The smallest of three rank p-values would tie it with the first of every other probe."""
    random = np.random.default_rng(2)
    found = combine(np.array([0.0, 8.0, 0.0]), random.normal(size=(19, 3)))
    assert (found.p_value, found.driving) == (0.05, (1,))


def test_every_probe_keeps_a_p_value_of_its_own() -> None:
    references = np.array([[float(i), float(-i)] for i in range(19)])
    found = combine(np.array([18.5, -18.5]), references)
    assert found.per_probe == (0.05, 1.0)


def test_probes_that_are_significant_alone_drive_beside_the_strongest() -> None:
    random = np.random.default_rng(3)
    found = combine(np.array([9.0, 7.0, 0.0]), random.normal(size=(19, 3)))
    assert found.driving == (1, 0)  # the second adds more, in units of its spread


def test_the_unit_of_a_probe_does_not_matter() -> None:
    random = np.random.default_rng(4)
    references, score = random.normal(size=(29, 2)), np.array([2.0, 1.0])
    unit, shift = np.array([1000.0, 0.01]), np.array([-7.0, 3.0])
    first, second = combine(score, references), combine(score * unit + shift, references * unit + shift)
    assert second.score == pytest.approx(first.score)
    assert replace(second, score=first.score) == first


def test_exchanging_the_network_with_a_reference_exchanges_their_scores() -> None:
    scores = np.random.default_rng(5).normal(size=(20, 3))
    assert np.allclose(squared_excess(scores)[::-1], squared_excess(scores[::-1]))


def test_equal_scores_are_no_evidence() -> None:
    found = combine(np.zeros(2), np.zeros((19, 2)))
    assert (found.p_value, found.per_probe) == (1.0, (1.0, 1.0))
