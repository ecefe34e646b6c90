import pytest

from worker.pace import RECENT_S, Pace


def noted(*positions: tuple[float, int]) -> Pace:
    pace = Pace()
    for now, done in positions:
        pace.note(now, done)
    return pace


def test_nothing_is_said_before_a_step():
    assert Pace().left(0.0, 10) is None
    assert noted((5.0, 3)).left(6.0, 10) is None


def test_a_resumed_stage_counts_from_where_it_went_on():
    assert noted((100.0, 50), (110.0, 60)).left(110.0, 100) == 40.0


def test_a_stage_that_slows_down_is_judged_by_its_pace_of_late():
    """ABD's last stretch takes several times as long a step: two minutes were left when 26 s were told."""
    quick = [(float(second), 25 * second) for second in range(200)]
    slow = [(200.0 + second, 5_000 + 3 * second) for second in range(100)]
    assert noted(*quick, *slow).left(300.0, 5_600) == pytest.approx(303 / 3, rel=0.05)


def test_messages_far_apart_are_enough():
    far = noted((0.0, 0), (10 * RECENT_S, 1), (20 * RECENT_S, 2))
    assert far.left(20 * RECENT_S, 4) == 20 * RECENT_S


def test_a_step_that_takes_long_makes_it_later():
    pace = noted((0.0, 0), (10.0, 10))
    assert pace.left(20.0, 20) == 20.0
