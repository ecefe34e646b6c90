from dataclasses import replace

import pytest
import torch

from models.distillation.inversion.cmi import CmiSynthesizer
from models.distillation.inversion.distiller import inversion_task
from models.engine.frozen import frozen
from models.engine.seed import derive_seed
from models.errors import RecipeError
from tests.models.distillation.inversion.small_recipes import CMI
from tests.models.distillation.small import network, teacher, weights


def synthesizer(task: object) -> CmiSynthesizer:
    found = task.synthesizer  # type: ignore[attr-defined]
    assert isinstance(found, CmiSynthesizer)
    return found


def test_each_round_has_its_own_generator_and_one_projection() -> None:
    suspect = teacher()
    with frozen(suspect.network):
        task = inversion_task(suspect, network(), CMI, seed=0)
        made, starts = synthesizer(task), []
        head = weights(made.head).clone()  # type: ignore[arg-type]
        for index in range(15):
            if task.place == 0:
                made.begin(index)
                assert made.now is not None
                starts.append(weights(made.now.generator).clone())  # type: ignore[arg-type]
            task.step(index)
        assert made.now is None
    assert len({float(start.sum()) for start in starts}) == 3
    moved = weights(made.head)  # type: ignore[arg-type]
    assert not torch.equal(moved, head)
    assert made.bank.views is not None
    assert made.bank.views.shape[:2] == (24, 2)


def test_noise_and_generator_move() -> None:
    suspect = teacher()
    with frozen(suspect.network):
        task = inversion_task(suspect, network(), CMI, seed=0)
        made = synthesizer(task)
        made.begin(0)
        assert made.now is not None
        noise, generator = made.now.noise.clone(), weights(made.now.generator).clone()  # type: ignore[arg-type]
        made.step(0, task.defense, adversarial=True)
        assert not torch.equal(made.now.noise, noise)
        assert not torch.equal(weights(made.now.generator), generator)  # type: ignore[arg-type]


def test_the_best_step_is_kept_and_not_the_last() -> None:
    suspect = teacher()
    with frozen(suspect.network):
        task = inversion_task(suspect, network(), CMI, seed=0)
        made = synthesizer(task)
        made.begin(0)
        assert made.now is not None
        made.step(0, task.defense, adversarial=True)
        first = made.now.best.taken().clone()
        made.now.best.loss = -1e9  # no later step is better
        made.step(1, task.defense, adversarial=True)
        assert torch.equal(made.end(), first)


def test_without_contrast_there_is_no_second_look() -> None:
    suspect = teacher()
    with frozen(suspect.network):
        task = inversion_task(suspect, network(), replace(CMI, contrast_weight=0.0), seed=0)
        told = [task.step(index) for index in range(5)]
    assert "contrastive_loss" not in told[-1]
    assert synthesizer(task).bank.views is None


def test_labels_cover_the_classes_in_order() -> None:
    suspect = teacher()
    with frozen(suspect.network):
        made = synthesizer(inversion_task(suspect, network(), replace(CMI, synthesis_batch=64), seed=0))
        made.begin(0)
    assert made.now is not None
    assert torch.equal(made.now.labels, made.now.labels.sort().values)
    assert set(made.now.labels.tolist()) == {0, 1, 2, 3}


def test_random_numbers_of_the_caller_are_left_alone() -> None:
    suspect = teacher()
    torch.manual_seed(derive_seed(0, "caller"))
    before = torch.get_rng_state()
    student = network()
    torch.set_rng_state(before)
    with frozen(suspect.network):
        task = inversion_task(suspect, student, CMI, seed=0)
        for index in range(5):
            task.step(index)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_teacher_without_batchnorm_is_refused_before_anything_runs() -> None:
    suspect = teacher()
    for name, module in list(suspect.network.named_modules()):
        for child, norm in list(module.named_children()):
            if isinstance(norm, torch.nn.BatchNorm2d):
                setattr(module, child, torch.nn.Identity())
        del name
    with frozen(suspect.network), pytest.raises(RecipeError) as refused:
        inversion_task(suspect, network(), CMI, seed=0)
    assert refused.value.code == "batchnorm_missing"


def test_statistics_are_measured_as_in_the_paper_unless_the_recipe_says_relative() -> None:
    suspect = teacher()
    relative = replace(CMI, batchnorm_distance="relative", batchnorm_weight=3.0)
    weighed = [
        (made.objective.weights.relative, made.objective.weights.batchnorm)
        for made in (
            synthesizer(inversion_task(suspect, network(), recipe, seed=0)) for recipe in (CMI, relative)
        )
    ]
    assert weighed == [(False, 1.0), (True, 3.0)]
