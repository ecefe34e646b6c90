from dataclasses import replace

import pytest
import torch

from models.distillation.nasty.judgment import ProtectionAnswers, judge
from models.recipes.protect import HarmRecipe, ProtectRecipe
from models.results.protection import ProtectionResult

N = 100
LABELS = torch.zeros(N, dtype=torch.int64)
RECIPE = ProtectRecipe(max_accuracy_drop=0.02, min_harm=0.01, harm=HarmRecipe(architecture="plain-cnn-w16"))


def answers(right: int) -> torch.Tensor:
    return (torch.arange(N) >= right).long()


def judged(nasty: int = 98, students: tuple[tuple[int, int, int], ...] = ((90, 93, 80),)) -> ProtectionResult:
    triples = tuple(
        (seed, {"labels": answers(a), "original": answers(b), "nasty": answers(c)})
        for seed, (a, b, c) in enumerate(students)
    )
    given = ProtectionAnswers(labels=LABELS, original=answers(99), nasty=answers(nasty), students=triples)
    return judge(given, RECIPE, steps=7, seconds=1.0)


def test_accuracies_and_differences_are_those_of_the_answers() -> None:
    result = judged()
    (triple,) = result.students
    assert (result.original_accuracy.value, result.nasty_accuracy.value) == (0.99, 0.98)
    assert (triple.labels.value, triple.original.value, triple.nasty.value) == (0.90, 0.93, 0.80)
    assert triple.nasty_minus_original.value == pytest.approx(-0.13)
    assert triple.nasty_minus_labels.value == pytest.approx(-0.10)
    assert triple.labels.n == result.accuracy_change.n == N
    assert result.agreement.value == 0.99


def test_a_network_that_keeps_its_accuracy_and_harms_students_is_accepted() -> None:
    result = judged()
    assert result.accepted
    assert [check.passed for check in result.checks] == [True, True]
    assert "98.0%" in result.sentence and "80.0%" in result.sentence
    assert "raise omega" not in result.sentence and "lower omega" not in result.sentence


def test_too_much_accuracy_lost_is_not_accepted() -> None:
    result = judged(nasty=96)
    assert not result.accepted
    assert result.checks[0].measured == pytest.approx(0.03)
    assert "lower omega" in result.sentence


def test_accuracy_gained_is_no_loss() -> None:
    result = judged(nasty=100)
    assert (result.checks[0].measured, result.checks[0].passed) == (0.0, True)


@pytest.mark.parametrize("nasty", [90, 95])
def test_a_student_that_does_no_worse_than_one_of_the_labels_means_no_protection(nasty: int) -> None:
    result = judged(students=((90, 97, nasty),))
    assert not result.accepted
    assert "raise omega" in result.sentence


def test_harm_that_the_original_does_as_well_is_no_protection() -> None:
    """As of a harmless network on CIFAR-10, whose students lost 7 points in a run of 20,000 images."""
    result = judged(students=((90, 83, 83),))
    assert not result.accepted
    assert result.checks[1].measured == 0.0
    assert "from the original hurts as much" in result.sentence
    assert judged(students=((90, 83, 82),)).accepted


@pytest.mark.parametrize(("images", "accepted"), [(49, False), (50, True)])
def test_few_images_protect_nothing(images: int, accepted: bool) -> None:
    right = torch.zeros(images, dtype=torch.int64)
    wrong = (torch.arange(images) < 5).long()
    students = ((0, {"labels": right, "original": right, "nasty": wrong}),)
    result = judge(ProtectionAnswers(right, right, right, students), RECIPE, steps=1, seconds=0.0)
    assert result.accepted is accepted
    assert [check.passed for check in result.checks] == [True if accepted else None] * 2
    assert ("at least 50 must be held out" in result.sentence) is not accepted


def test_repetitions_are_averaged_and_their_spread_is_told() -> None:
    result = judged(students=((90, 92, 80), (90, 92, 84)))
    assert result.mean_nasty_minus_labels == pytest.approx(-0.08)
    assert result.mean_nasty_minus_original == pytest.approx(-0.10)
    assert result.spread_nasty_minus_labels == pytest.approx(0.02 * 2**0.5)
    assert judged().spread_nasty_minus_labels is None


def test_the_students_temperature_is_the_protections_unless_given() -> None:
    given = ProtectionAnswers(
        labels=LABELS, original=answers(99), nasty=answers(99),
        students=((0, dict.fromkeys(("labels", "original", "nasty"), answers(90))),),
    )  # fmt: skip
    harm = replace(RECIPE.harm, temperature=1.0)
    assert judge(given, RECIPE, steps=1, seconds=0.0).student_temperature == RECIPE.temperature
    assert judge(given, replace(RECIPE, harm=harm), steps=1, seconds=0.0).student_temperature == 1.0


def test_what_it_does_not_do_is_always_said() -> None:
    assert any("backdoor" in line for line in judged().limits)
