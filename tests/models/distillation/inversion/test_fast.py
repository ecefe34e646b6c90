from dataclasses import replace

import pytest
import torch

from models.distillation.inversion.distiller import inversion_task
from models.distillation.inversion.fast import FastSynthesizer
from models.distillation.inversion.task import InversionTask
from models.engine.frozen import frozen
from models.recipes.fast import FastRecipe
from tests.models.distillation.inversion.small_recipes import FAST
from tests.models.distillation.small import network, teacher, weights


def planned(recipe: FastRecipe = FAST) -> tuple[InversionTask, FastSynthesizer]:
    task = inversion_task(teacher(), network(), recipe, seed=0)
    assert isinstance(task.synthesizer, FastSynthesizer)
    return task, task.synthesizer


def test_every_copy_starts_from_the_meta_generator() -> None:
    task, made = planned(replace(FAST, renew_first_layer=False))
    with frozen(task.teacher):
        for index in range(10):
            if task.place == 0:
                made.begin(index)
                assert made.now is not None
                assert torch.equal(weights(made.now.generator), weights(made.meta))  # type: ignore[arg-type]
            task.step(index)


def test_statistics_are_measured_as_the_recipe_says() -> None:
    _, by_default = planned()
    _, papers = planned(replace(FAST, batchnorm_distance="raw", batchnorm_weight=10.0))
    weighed = [
        (made.objective.weights.relative, made.objective.weights.batchnorm) for made in (by_default, papers)
    ]
    assert weighed == [(True, 1.0), (False, 10.0)]


@pytest.mark.parametrize("meta_gradient", ["first_order", "reptile"])
def test_the_meta_generator_moves_once_per_round(meta_gradient: str) -> None:
    task, made = planned(replace(FAST, renew_first_layer=False, meta_gradient=meta_gradient))
    learned = list(made.meta.parameters())
    with frozen(task.teacher):
        before = [one.detach().clone() for one in learned]
        for index in range(2):
            task.step(index)
        assert all(torch.equal(a, b) for a, b in zip(before, learned, strict=True))
        task.step(2)
    assert all(not torch.equal(a, b) for a, b in zip(before, learned, strict=True))


def test_the_first_order_gradient_is_the_sum_along_the_way() -> None:
    task, made = planned(replace(FAST, renew_first_layer=False))
    with frozen(task.teacher):
        made.begin(0)
        assert made.now is not None
        total = torch.zeros_like(made.meta.expand.weight)
        for index in range(2):
            made.step(index, task.defense, adversarial=False)
            assert made.now.generator.expand.weight.grad is not None
            total += made.now.generator.expand.weight.grad
    assert made.meta.expand.weight.grad is not None
    assert torch.allclose(made.meta.expand.weight.grad, total)


def test_reptile_leads_to_where_the_copy_went() -> None:
    task, made = planned(replace(FAST, renew_first_layer=False, meta_gradient="reptile"))
    with frozen(task.teacher):
        made.begin(0)
        assert made.now is not None
        start = made.meta.expand.weight.detach().clone()
        for index in range(3):
            made.step(index, task.defense, adversarial=False)
        way = made.now.generator.expand.weight - start
        moved = made.meta.expand.weight - start
    assert torch.equal(moved.sign(), way.sign())


def test_the_first_layer_is_drawn_anew_each_round() -> None:
    task, made = planned()
    firsts, others = [], []
    with frozen(task.teacher):
        for index in (0, 5):
            made.begin(index)
            firsts.append(made.meta.expand.weight.detach().clone())
            others.append(made.meta.layers[2].weight.detach().clone())
    assert not torch.equal(firsts[0], firsts[1])
    assert torch.equal(others[0], others[1])


def test_the_student_sits_out_the_warm_up() -> None:
    task, _ = planned()
    before = weights(task.student).clone()
    with frozen(task.teacher):
        for index in range(3):
            told = task.step(index)
        assert (task.round, task.place) == (1, 0)
        assert "adversarial_loss" not in told
        assert torch.equal(weights(task.student), before)
        told = task.step(3)
    assert "adversarial_loss" in told
    assert task.steps == 4 * 3 + 3


def test_a_warm_up_is_at_most_half_of_a_run() -> None:
    assert planned(replace(FAST, rounds=4, warmup_rounds=20))[1].warmup_rounds == 2


def test_statistics_are_averaged_over_rounds() -> None:
    task, made = planned(replace(FAST, statistics_momentum=0.5))
    with frozen(task.teacher):
        for index in range(3):
            task.step(index)
        first = [one.mean.clone() for one in made.average.kept]
        for index in range(3, 6):
            task.step(index)
        second = [one.mean for one in made.average.kept]
    assert first
    assert any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))
