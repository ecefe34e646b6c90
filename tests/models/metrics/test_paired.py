from __future__ import annotations

import pytest

from models.metrics.paired import mcnemar


def test_known_values() -> None:
    """Exact binomial tails: 2 * (1 + 10) / 2^10, and 2 / 2^20."""
    assert mcnemar(1, 9) == pytest.approx(22 / 1024)
    assert mcnemar(20, 0) == pytest.approx(2 / 2**20)


def test_equal_networks_do_not_differ() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(7, 7) == 1.0


def test_the_order_does_not_matter() -> None:
    assert mcnemar(3, 12) == mcnemar(12, 3)
