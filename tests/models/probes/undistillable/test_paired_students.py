from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.data.labelled import LabelledImages
from models.distillation.labelled_batches import LabelledBatches
from models.engine.frozen import frozen
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted, TrainingFailed
from models.metrics import wilson
from models.probes.undistillable import paired_students as module
from models.probes.undistillable.gains import Lesson, SeedAnswers, student_gain
from models.probes.undistillable.honest_head import HonestHead, honest_head
from models.probes.undistillable.paired_students import (
    STUDENT_EFFORTS,
    StudentEffort,
    paired_students,
    sum_up,
    train_in_step,
)
from models.probes.undistillable.weigh_students import FEWEST_PAIRS
from tests.models.distillation.small import CLASSES, images, teacher, weights

EFFORT = StudentEffort((1.0, 20.0), 20.0, 3, 128)
ONE = StudentEffort((20.0,), 20.0, 3, 128)
SOFT, HONEST = Lesson(20.0), Lesson(20.0, honest=True)
NOBODY = HonestHead(torch.zeros(64, CLASSES), torch.zeros(CLASSES))
DATA = LabelledImages(images(80), torch.arange(80) % CLASSES)


def batches(seed: int = 3) -> LabelledBatches:
    return LabelledBatches(
        teacher().pixel_classifier(),
        DATA.images,
        DATA.labels,
        batch_size=16,
        crop_padding=4,
        horizontal_flip=False,
        seed=seed,
    )


def train(seed: int = 3, given: LabelledBatches | None = None):
    found = given or batches(seed)
    suspect = teacher()
    with frozen(suspect.network):
        return train_in_step(
            suspect,
            honest_head(suspect, DATA.images, SilentMonitor()),
            found,
            (None, Lesson(1.0), SOFT, HONEST),
            steps=3,
            seed=seed,
            monitor=SilentMonitor(),
        )


def test_every_student_sees_the_same_batches_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inputs of every forward pass are recorded at the students' first layers."""
    seen: list[list[Tensor]] = []
    make = module._new

    def recording(spec, seed):
        student, own = make(spec, seed), []
        seen.append(own)
        student.register_forward_pre_hook(lambda _, inputs: own.append(inputs[0].clone()))
        return student

    monkeypatch.setattr(module, "_new", recording)
    train()
    alone, *taught = seen
    assert len(taught) == 3
    assert len(alone) == 3
    assert not torch.equal(alone[0], alone[1])
    assert all(torch.equal(mine, theirs) for own in taught for mine, theirs in zip(alone, own, strict=True))


def test_students_who_ignore_the_teacher_end_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Same first weights: what they end up doing differently, they owe to the teacher."""
    monkeypatch.setattr(module, "DISTILLATION_WEIGHT", 0.0)
    ends = [weights(student) for student in train().values()]
    assert all(torch.equal(end, ends[0]) for end in ends)


def test_the_twin_of_an_honest_last_layer_differs_in_that_layer_alone() -> None:
    """Where the network's own last layer is the honest one already, both students are the same."""
    suspect, found = teacher(), batches()
    last = suspect.network.fc
    same = HonestHead(last.weight.detach().T.clone(), last.bias.detach().clone())
    ends = []
    for head in (same, NOBODY):
        with frozen(suspect.network):
            students = train_in_step(
                suspect, head, found, (SOFT, HONEST), steps=3, seed=3, monitor=SilentMonitor()
            )
        ends.append([weights(student) for student in students.values()])
    assert torch.allclose(*ends[0], atol=1e-5)
    assert not torch.allclose(*ends[1], atol=1e-3)


def test_students_who_listen_end_apart_and_so_do_seeds() -> None:
    first, second = train(seed=3), train(seed=4)
    ends = [weights(student) for student in first.values()]
    assert not torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[1], ends[2])
    assert not torch.equal(ends[0], weights(second[None]))


def test_the_teacher_only_answers_trap_21() -> None:
    suspect = teacher()
    before = weights(suspect.network).clone()
    with frozen(suspect.network):
        paired_students(suspect, DATA, EFFORT, seed=1, monitor=SilentMonitor())
    assert torch.equal(weights(suspect.network), before)


def test_every_seed_divides_the_images_anew_and_the_same_seed_gives_the_same() -> None:
    suspect = teacher()
    with frozen(suspect.network):
        first = paired_students(suspect, DATA, EFFORT, seed=1, monitor=SilentMonitor())
        again = paired_students(suspect, DATA, EFFORT, seed=1, monitor=SilentMonitor())
    assert replace(first, seconds=0.0) == replace(again, seconds=0.0)
    assert len(set(first.seeds)) == 3
    # 80 images of 4 classes: 6 of each 20 are held out, in each of three seeds.
    assert (first.training_images, first.held_out_images) == (56, 72)
    # Divisions overlap, so there are fewer different images than answers, and no more than there are at all.
    assert 24 < first.teacher.n == first.labels.n < 72
    assert first.judged.temperature == 20.0
    assert first.images_seen == first.steps * 56


def answers(teacher_right: int, alone: int, taught: int, total: int = 100, *, offset: int = 0) -> SeedAnswers:
    def first(count: int) -> Tensor:
        return torch.arange(total) < count

    images = torch.arange(total) + offset
    students = {None: first(alone), SOFT: first(taught), HONEST: first(alone)}
    return SeedAnswers(images, first(teacher_right), students)


def test_an_image_that_several_seeds_hold_out_makes_no_interval_narrower() -> None:
    """Three seeds that hold out the same 100 images are 100 images, each right in a share of them."""
    same = [answers(99, 90, 80), answers(99, 92, 86), answers(99, 94, 86)]
    found = sum_up(same, ONE, (1, 2, 3), batches(), steps=1, seconds=0.0)
    assert found.teacher == wilson(99, 100)
    assert found.labels == wilson(92, 100)
    apart = [answers(50, 90, 80, offset=100 * seed) for seed in range(3)]
    assert sum_up(apart, ONE, (1, 2, 3), batches(), steps=1, seconds=0.0).teacher == wilson(150, 300)


def test_gains_are_paired_and_averaged_over_the_seeds() -> None:
    found = student_gain([answers(99, 90, 80), answers(99, 90, 86), answers(99, 92, 86)], SOFT, 250)
    assert found.gains == pytest.approx((-0.10, -0.04, -0.06))
    assert found.mean == pytest.approx(-0.2 / 3)
    # The spread is sqrt(28 / 3) points; that of the images, sqrt(44) / 300, is smaller.
    assert found.standard_error == pytest.approx(math.sqrt(28 / 3) / 100 * math.sqrt(1 / 3 + 100 / 250))
    assert found.image_error == pytest.approx(math.sqrt(44) / 300)


def test_the_gain_against_the_honest_last_layer_has_twins_of_its_own() -> None:
    def one(right: int) -> Tensor:
        return torch.arange(100) < right

    found = [
        SeedAnswers(torch.arange(100) + 100 * seed, one(99), {None: one(95), SOFT: one(80), HONEST: one(85)})
        for seed in range(3)
    ]
    summed = sum_up(found, ONE, (1, 2, 3), batches(), steps=1, seconds=0.0)
    assert summed.judged.gains == pytest.approx((-0.15,) * 3)
    assert summed.against_honest.gains == pytest.approx((-0.05,) * 3)
    assert summed.honest == wilson(255, 300)


def test_seeds_that_agree_by_luck_do_not_make_the_error_vanish() -> None:
    apart = [answers(99, 90, 88, offset=100 * seed) for seed in range(3)]
    assert student_gain(apart, SOFT, 250).standard_error == pytest.approx(math.sqrt(6) / 300)
    assert student_gain([answers(99, 90, 90)] * 3, SOFT, 250).standard_error > 0


def test_images_that_every_seed_holds_out_count_once() -> None:
    """Three seeds that lose the same two images know no more than one."""
    found = student_gain([answers(99, 90, 88)] * 3, SOFT, 250)
    assert found.standard_error == pytest.approx(math.sqrt(2) / 100)


def test_budgets_judge_a_temperature_that_they_train_at_over_pairs_enough() -> None:
    for effort in STUDENT_EFFORTS.values():
        assert effort.judged in effort.temperatures
        assert effort.temperatures == tuple(sorted(effort.temperatures))
        assert effort.seeds == FEWEST_PAIRS  # whose quantile the judgment knows
    assert "quick" not in STUDENT_EFFORTS


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    suspect = teacher()
    with torch.no_grad():
        next(suspect.network.parameters()).fill_(float("nan"))
    with frozen(suspect.network), pytest.raises(TrainingFailed) as caught:
        train_in_step(suspect, NOBODY, batches(), (Lesson(1.0),), steps=1, seed=0, monitor=SilentMonitor())
    assert caught.value.code == "non_finite"


def test_the_run_stops_when_asked() -> None:
    class Stopping(SilentMonitor):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Interrupted):
        paired_students(teacher(), DATA, EFFORT, seed=1, monitor=Stopping())
