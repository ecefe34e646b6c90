from __future__ import annotations

import pytest
import torch

from models.metrics.paired import mcnemar, paired_difference


def test_known_values() -> None:
    """Exact binomial tails: 2 * (1 + 10) / 2^10, and 2 / 2^20."""
    assert mcnemar(1, 9) == pytest.approx(22 / 1024)
    assert mcnemar(20, 0) == pytest.approx(2 / 2**20)


def test_as_many_pairs_as_a_large_set_has_take_no_minutes() -> None:
    """Normal approximation with continuity correction: z = 999 / 137.8."""
    assert mcnemar(9_000, 10_000) == pytest.approx(4.24e-13, rel=0.02)


def test_equal_networks_do_not_differ() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(7, 7) == 1.0


def test_the_order_does_not_matter() -> None:
    assert mcnemar(3, 12) == mcnemar(12, 3)


def answers(both: int, only_first: int, only_second: int, neither: int) -> tuple[torch.Tensor, torch.Tensor]:
    first = [True] * both + [True] * only_first + [False] * only_second + [False] * neither
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return torch.tensor(first), torch.tensor(second)


def test_a_paired_difference_by_hand() -> None:
    """n = 98, 14 and 4 discordant: adjusted shares 15/100 and 5/100, z sqrt((.2 - .01) / 100)."""
    found = paired_difference(*answers(60, 14, 4, 20))
    assert found.value == pytest.approx(10 / 98)
    assert (found.low, found.high) == pytest.approx((0.1 - 0.08543, 0.1 + 0.08543), abs=1e-5)
    assert (found.n, found.p_value) == (98, mcnemar(14, 4))


def test_equal_answers_leave_room_for_doubt() -> None:
    found = paired_difference(*answers(50, 0, 0, 50))
    assert found.value == 0.0
    assert found.low == -found.high != 0.0


def test_exchanging_the_two_changes_the_sign() -> None:
    first, second = answers(10, 7, 2, 5)
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


@pytest.mark.parametrize("other", [0, 3])
def test_answers_that_are_no_pairs_are_refused(other: int) -> None:
    with pytest.raises(ValueError, match="paired"):
        paired_difference(torch.ones(0 if other == 0 else 4, dtype=torch.bool), torch.ones(other).bool())
