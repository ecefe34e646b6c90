import pytest

from models.engine.schedule import milestone_rate, scheduled_rate


def test_the_cosine_starts_at_its_peak_and_nears_zero() -> None:
    rates = [scheduled_rate("cosine", 0.4, step, 10) for step in range(10)]
    assert rates[0] == pytest.approx(0.4)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.02


def test_steps_halves_at_half_and_constant_stays() -> None:
    assert [scheduled_rate("steps", 1.0, step, 4) for step in range(4)] == [1.0, 1.0, 0.5, 0.5]
    assert scheduled_rate("constant", 1.0, 3, 4) == 1.0


def test_milestones_lie_where_those_in_epochs_would() -> None:
    """80 and 120 of 160 epochs, in steps of an eighth of the run."""
    rates = [milestone_rate(0.1, step, 8, (80 / 160, 120 / 160), 0.1) for step in range(8)]
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 2 + [0.001] * 2)
