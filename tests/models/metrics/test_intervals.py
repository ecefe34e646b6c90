import pytest

from models.metrics import wilson


def test_wilson_matches_the_textbook_value():
    rate = wilson(5, 10)
    assert (rate.value, rate.n) == (0.5, 10)
    assert (rate.low, rate.high) == (pytest.approx(0.23659, abs=1e-5), pytest.approx(0.76341, abs=1e-5))


def test_zero_of_n_still_has_an_upper_bound():
    rate = wilson(0, 324)
    assert rate.low == 0.0
    assert rate.high == pytest.approx(0.01172, abs=1e-5)


def test_n_of_n_still_has_a_lower_bound():
    rate = wilson(324, 324)
    assert rate.high == 1.0
    assert rate.low == pytest.approx(0.98828, abs=1e-5)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_what_is_not_a_share_is_refused(successes, n):
    with pytest.raises(ValueError, match="not a share"):
        wilson(successes, n)
