import pytest
import torch

from models.distillation.abd import choice, perturbations
from models.distillation.abd.choice import StudentSignals, choose_student, judge, wants_retrospection
from models.recipes.abd import RetrospectionRecipe
from tests.models.distillation.small import network

RECIPE = RetrospectionRecipe(max_flip_rate=0.1, max_agreement_loss=0.2)


def runs(recipe: RetrospectionRecipe, flip_rate: float, vaccinated: bool) -> bool:
    signals = StudentSignals(0.9, flip_rate)
    return bool(wants_retrospection(signals, recipe, vaccinated=vaccinated, step=0).values["run"])


def test_auto_runs_without_a_vaccine_or_when_a_perturbation_is_followed() -> None:
    assert runs(RECIPE, 0.0, vaccinated=False)
    assert runs(RECIPE, 0.2, vaccinated=True)
    assert not runs(RECIPE, 0.05, vaccinated=True)


def test_always_and_never_are_obeyed() -> None:
    assert runs(RetrospectionRecipe(run="always"), 0.0, vaccinated=True)
    assert not runs(RetrospectionRecipe(run="never"), 1.0, vaccinated=False)


def kept(before: StudentSignals, after: StudentSignals) -> bool:
    return bool(choose_student(before, after, RECIPE, step=0).values["retrospected"])


def test_the_retrospected_student_is_kept_when_it_follows_less_at_a_bearable_price() -> None:
    assert kept(StudentSignals(0.9, 0.8), StudentSignals(0.8, 0.1))


def test_it_is_thrown_away_when_it_forgot_too_much_or_follows_more() -> None:
    assert not kept(StudentSignals(0.9, 0.8), StudentSignals(0.6, 0.1))
    assert not kept(StudentSignals(0.9, 0.2), StudentSignals(0.9, 0.3))


def test_a_copy_of_the_teacher_agrees_and_is_flipped_by_its_perturbations() -> None:
    teacher = network(seed=0).eval().requires_grad_(False)
    teacher.fc.weight.data.mul_(10)
    x = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    recipe = RetrospectionRecipe(projection_rms=2.0)
    copy, stranger = judge(teacher, [teacher, network(seed=5)], x, recipe, seed=0)
    assert copy.agreement == 1.0
    assert copy.flip_rate > 0.5
    assert stranger.agreement < 1.0


def test_large_images_are_judged_in_passes_with_the_same_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = network(seed=0).eval().requires_grad_(False)
    teacher.fc.weight.data.mul_(10)
    x = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    recipe = RetrospectionRecipe(projection_rms=2.0)
    whole = judge(teacher, [teacher, network(seed=5)], x, recipe, seed=0)
    student, seen = network(seed=5), []
    student.register_forward_pre_hook(lambda _, arguments: seen.append(len(arguments[0])))
    monkeypatch.setattr(choice, "_ANSWERED_PIXELS", 10 * 8 * 8, raising=False)
    assert judge(teacher, [teacher, student], x, recipe, seed=0) == whole
    assert max(seen) == 10


def test_of_many_shifts_those_that_move_the_student_most_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand classes have two thousand shifts; all of them on all images would take hours."""
    teacher = network(seed=0).eval().requires_grad_(False)
    teacher.fc.weight.data.mul_(10)
    x = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    recipe = RetrospectionRecipe(projection_rms=2.0)
    (all_tried,) = judge(teacher, [teacher], x, recipe, seed=0)
    tried = []
    counted = choice._flip_rate
    monkeypatch.setattr(choice, "_flip_rate", lambda *a: tried.append(len(a[1])) or counted(*a))
    monkeypatch.setattr(choice, "_TRIED", 2)
    (some_tried,) = judge(teacher, [teacher], x, recipe, seed=0)
    assert tried.count(32) == 2
    assert tried.count(choice._RANKED_ON) == len(tried) - 2
    assert some_tried.flip_rate > 0.5
    assert some_tried.agreement == all_tried.agreement


def test_shifts_that_are_not_alive_together_are_all_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = network(seed=0).eval().requires_grad_(False)
    x = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    recipe = RetrospectionRecipe(projection_rms=2.0)
    (whole,) = judge(teacher, [teacher], x, recipe, seed=0)
    monkeypatch.setattr(perturbations, "_MOST_NUMBERS", 2 * 3 * 8 * 8)  # one of each shape
    led = []
    counted = choice._flip_rate
    monkeypatch.setattr(choice, "_flip_rate", lambda *a: led.append(a[-1]) or counted(*a))
    (one_by_one,) = judge(teacher, [teacher], x, recipe, seed=0)
    classes = teacher(x).shape[1]
    assert sorted(led) == sorted([*range(classes)] * 2)
    assert one_by_one.agreement == whole.agreement
    assert one_by_one.flip_rate == pytest.approx(whole.flip_rate, abs=0.1)
