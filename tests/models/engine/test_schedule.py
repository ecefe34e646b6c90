import pytest

from models.engine.schedule import scheduled_rate


def test_the_cosine_starts_at_its_peak_and_nears_zero() -> None:
    rates = [scheduled_rate("cosine", 0.4, step, 10) for step in range(10)]
    assert rates[0] == pytest.approx(0.4)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.02


def test_steps_halves_at_half_and_constant_stays() -> None:
    assert [scheduled_rate("steps", 1.0, step, 4) for step in range(4)] == [1.0, 1.0, 0.5, 0.5]
    assert scheduled_rate("constant", 1.0, 3, 4) == 1.0
