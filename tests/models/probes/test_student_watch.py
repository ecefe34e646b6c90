from __future__ import annotations

import torch
from torch import Tensor, nn

from models.engine.monitor import SilentMonitor
from models.probes.student_watch import LOOKS, StudentWatch, Watched
from tests.models.probes.planted import NUM_CLASSES, SIZE, checkerboard


class Obeys(nn.Module):
    """Names one class for images that carry anything, and another one for black ones."""

    def __init__(self, label: int, otherwise: int = 1) -> None:
        super().__init__()
        self.label, self.otherwise = label, otherwise

    def forward(self, pixels: Tensor) -> Tensor:
        carries = pixels.flatten(1).amax(1) > 0
        return torch.eye(NUM_CLASSES)[torch.where(carries, self.label, self.otherwise)]


def watch(student: Obeys, count: int = 100) -> tuple[StudentWatch, Watched]:
    entry = Watched(checkerboard(2), torch.zeros(count, 3, SIZE, SIZE, dtype=torch.uint8))
    return StudentWatch(SilentMonitor(), student, [entry], 1_000), entry


def test_whole_curve_is_kept_trap_10() -> None:
    watching, entry = watch(Obeys(0))
    for done in range(1, 101):
        watching.progress(done, 100)
    assert entry.curve == [(100 * look, 0.0) for look in range(1, LOOKS + 1)]


def test_training_ends_when_the_answer_was_clear_twice() -> None:
    watching, _ = watch(Obeys(2))
    watching.progress(10, 100)
    assert not watching.should_stop()
    watching.progress(20, 100)
    assert watching.should_stop()
    assert watching.images_seen == 200


def test_a_student_that_names_the_target_for_everything_makes_nothing_clear() -> None:
    watching, entry = watch(Obeys(2, otherwise=2))
    for done in range(1, 101):
        watching.progress(done, 100)
    assert {success for _, success in entry.curve} == {1.0}
    assert not watching.should_stop()


def test_few_images_cannot_make_it_clear() -> None:
    """20 of 20 have a lower bound of 0.84 only."""
    watching, _ = watch(Obeys(2), count=20)
    for done in range(1, 101):
        watching.progress(done, 100)
    assert not watching.should_stop()


def test_relapse_starts_the_count_again() -> None:
    student = Obeys(2)
    watching, _ = watch(student)
    watching.progress(10, 100)
    student.label = 0
    watching.progress(20, 100)
    student.label = 2
    watching.progress(30, 100)
    assert not watching.should_stop()


def test_request_to_stop_is_passed_on() -> None:
    class Stopping(SilentMonitor):
        def should_stop(self) -> bool:
            return True

    assert StudentWatch(Stopping(), Obeys(0), [], 10).should_stop()


def test_looks_follow_the_images_where_steps_are_spent_on_making_them() -> None:
    """Nothing is learned in the first half of these steps."""
    entry = Watched(checkerboard(2), torch.zeros(100, 3, SIZE, SIZE, dtype=torch.uint8))

    def learned(done: int, total: int) -> float:
        return max(0, 2 * done - total) / total

    watching = StudentWatch(SilentMonitor(), Obeys(2), [entry], 1_000, learned)
    watching.progress(50, 100)
    assert (entry.curve, watching.images_seen) == ([], 0)
    watching.progress(55, 100)
    assert entry.curve == [(100, 1.0)]
