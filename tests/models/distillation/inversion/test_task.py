"""What holds for both methods: one loop of synthesis and learning, that can be stopped anywhere."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor
from torch.nn import BatchNorm2d

from models.checkpoints.load import Teacher
from models.distillation.abd.distiller import AbdTask
from models.distillation.defense import NoDefense
from models.distillation.distilled import Distilled
from models.distillation.inversion.distiller import distill_by_inversion, inversion_task
from models.distillation.inversion.task import InversionTask, crop_padding
from models.distillation.losses import batch_divergence
from models.engine.frozen import frozen
from models.engine.monitor import Monitor, ResumeState, SilentMonitor
from models.errors import Interrupted, TrainingFailed
from models.recipes.abd import AbdRecipe
from models.recipes.cmi import CmiRecipe
from models.recipes.fast import FastRecipe
from models.recipes.pool_learning import PoolLearningRecipe
from tests.models.distillation.inversion.small_recipes import ABD, CMI, FAST
from tests.models.distillation.small import SIZE, StoppingMonitor, network, teacher, weights


class Recording(NoDefense):
    """Notes what a method asks."""

    def __init__(self) -> None:
        self.observed: list[int] = []
        self.scales: list[float] = []
        self.made: list[Tensor] = []

    def observe(self, index: int, x: Tensor, teacher_logits: Tensor) -> None:
        assert not x.requires_grad
        assert not teacher_logits.requires_grad
        self.observed.append(index)

    def generator_term(self, x: Tensor, teacher_logits: Tensor) -> Tensor:
        assert x.requires_grad
        assert teacher_logits.requires_grad
        self.made.append(x)
        return x.new_zeros(())

    def add_gradients(self, x: Tensor, scale: float) -> None:
        self.scales.append(scale)


RECIPES = {"cmi": CMI, "fast": FAST}


def distill(
    method: str,
    defense: AbdRecipe | None = None,
    monitor: Monitor | None = None,
    resume: ResumeState | None = None,
) -> Distilled:
    silent = monitor or SilentMonitor()
    return distill_by_inversion(
        teacher(), network(), RECIPES[method], defense=defense, seed=7, monitor=silent, resume=resume
    )


@cache
def defended(method: str) -> Distilled:
    return distill(method, ABD)


def make(method: str, suspect: Teacher, seed: int = 0) -> InversionTask:
    return inversion_task(suspect, network(), RECIPES[method], seed=seed)


@pytest.mark.parametrize(("method", "stop_after"), [("cmi", 4), ("cmi", 18), ("fast", 12)])
def test_an_interrupted_abd_run_ends_in_the_same_student(method: str, stop_after: int) -> None:
    # Where the student learns, after the late checkpoint (10), and in retrospection (15 on).
    whole = defended(method)
    monitor = StoppingMonitor(stop_after)
    with pytest.raises(Interrupted):
        distill(method, ABD, monitor)
    resumed = distill(method, ABD, resume=monitor.states[-1])
    assert torch.equal(weights(resumed.network), weights(whole.network))
    assert resumed.decisions == whole.decisions
    assert resumed.final == whole.final


@pytest.mark.parametrize("method", ["cmi", "fast"])
def test_every_step_of_an_undefended_run_can_be_resumed(method: str) -> None:
    whole, monitor = distill(method), StoppingMonitor(99)
    distill(method, monitor=monitor)
    assert len(monitor.states) == whole.steps
    for state in monitor.states[:7]:  # a round and a bit of the next
        assert torch.equal(weights(distill(method, resume=state).network), weights(whole.network))


@pytest.mark.parametrize("method", ["cmi", "fast"])
def test_the_state_keeps_images_as_bytes(method: str) -> None:  # trap 4
    monitor = StoppingMonitor(99)
    distill(method, monitor=monitor)
    pool = monitor.states[-1].tensors["task.pool.images"]
    assert pool.dtype == torch.uint8
    assert len(pool) == (3 if method == "cmi" else 4) * 8


@pytest.mark.parametrize("method", ["cmi", "fast"])
def test_the_defense_is_asked_in_every_step_after_the_warm_up(method: str) -> None:
    suspect = teacher()
    with frozen(suspect.network):
        task = make(method, suspect)
        task.defense = recording = Recording()
        for index in range(task.steps):
            task.step(index)
    learned = 6 if method == "cmi" else 3
    # Images of the warm-up are no images yet: a shuffle is not chosen by them.
    warm = 0 if method == "cmi" else 3
    assert recording.observed == list(range(task.steps - warm))
    # Trap 14: with T² and a mean over the batch, the loss is as large as a divergence at temperature 1.
    assert recording.scales == [1.0] * learned
    assert len(recording.made) == task.steps - learned


@pytest.mark.parametrize("method", ["cmi", "fast"])
def test_the_teacher_sees_normalized_pixels(method: str) -> None:  # trap 3
    suspect = teacher()
    with frozen(suspect.network):
        task = make(method, suspect)
        task.defense = recording = Recording()
        for index in range(5):
            task.step(index)
        learned = task.pseudo_images(20, "looking")
    pixels = suspect.pixel_classifier().denormalize(torch.cat([*recording.made, learned]).detach())
    assert pixels.min() > -1e-5
    assert pixels.max() < 1 + 1e-5
    assert 0.2 < pixels.mean() < 0.6  # a fresh generator's gray, with black borders
    assert torch.equal(learned, task.pseudo_images(20, "looking"))


@pytest.mark.parametrize(("method", "before"), [("cmi", 3), ("fast", 6)])
def test_until_the_student_learns_the_loss_is_the_generators(method: str, before: int) -> None:
    """It stayed that of the very first step, for a fifth of a short run."""
    suspect = teacher()
    with frozen(suspect.network):
        task = make(method, suspect)
        told = [task.step(index) for index in range(before + 3)]
    assert all(one["loss"] == one["inversion_loss"] for one in told[:before])
    learned = told[before]["loss"]
    assert learned != told[before]["inversion_loss"]
    # While more images are made, it is that of the student's last step.
    later = 2 if method == "cmi" else 1
    assert told[before + later]["loss"] == told[before + later - 1]["loss"]


def test_the_students_loss_carries_the_square_of_the_temperature() -> None:  # traps 13 and 14
    suspect = teacher()
    with frozen(suspect.network):
        task = make("cmi", suspect)
        task.fast = False
        for index in range(3):
            task.step(index)
        student = network().train()
        with torch.no_grad():
            x = task._batch(8, "batch 3")
            expected = batch_divergence(suspect.network(x), student(x), 20.0) * 400.0
        told = task.step(3)
    assert told["loss"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("method", ["cmi", "fast"])
def test_making_images_leaves_the_student_alone(method: str) -> None:  # trap 23
    suspect = teacher()
    with frozen(suspect.network):
        task = make(method, suspect)
        before = weights(task.student).clone()
        for index in range(3):
            task.step(index)
        assert torch.equal(weights(task.student), before)
        assert len(task.pool) == 8


@pytest.mark.parametrize("method", ["cmi", "fast"])
def test_retrospection_repeats_whole_rounds_on_new_images(method: str) -> None:  # trap 47
    suspect = teacher()
    with frozen(suspect.network):
        task = make(method, suspect)
        whole = AbdTask(task, ABD, seed=0)
        for index in range(15):
            whole.step(index)
        first, place = task.pool.images.clone(), (task.round, task.place)
        for index in range(15, 20):
            whole.step(index)
    assert whole.steps == 20
    assert (task.round, task.place) == place
    assert task.optimizer.kind == "adam"
    assert len(task.pool) == len(first)
    assert not torch.equal(task.pool.images, first)


@pytest.mark.parametrize("method", ["cmi", "fast"])
def test_the_record_counts_what_the_kept_student_learned_from(method: str) -> None:
    seen = 6 * 8 if method == "cmi" else 3 * 8
    undefended = distill(method)
    assert undefended.images_seen == defended(method).images_seen == seen
    assert {"loss", "agreement", "inversion_loss", "one_hot_loss", "statistics_loss"} <= set(undefended.final)
    assert not undefended.network.training
    assert {d.name for d in defended(method).decisions} >= {
        "vaccine_selection",
        "retrospection",
        "student_choice",
    }


def test_a_synthesis_without_a_finite_loss_is_an_error() -> None:
    suspect = teacher()
    recipe = replace(CMI, one_hot_weight=0.0, batchnorm_weight=0.0, contrast_weight=0.0)
    with frozen(suspect.network):
        task = inversion_task(suspect, network(), recipe, seed=0)
        task.defense = NoDefense()
        task.defense.generator_term = lambda x, _: x.sum() * float("nan")  # type: ignore[method-assign]
        with pytest.raises(TrainingFailed) as failed:
            for index in range(3):
                task.step(index)
    assert failed.value.code == "non_finite"


@pytest.mark.parametrize("recipe", [CMI, replace(FAST, batchnorm_distance="raw")])
def test_statistics_that_no_image_can_have_end_in_advice(recipe: CmiRecipe | FastRecipe) -> None:
    suspect = teacher()
    first = next(module for module in suspect.network.modules() if isinstance(module, BatchNorm2d))
    assert first.running_mean is not None
    first.running_mean.fill_(1e25)
    with pytest.raises(TrainingFailed) as failed:
        distill_by_inversion(suspect, network(), recipe, defense=None, seed=0, monitor=SilentMonitor())
    assert failed.value.code == "non_finite"
    assert "method ood" in failed.value.hint


def test_padding_is_scaled_with_the_side() -> None:
    assert [crop_padding(PoolLearningRecipe(), side) for side in (SIZE, 32, 64)] == [1, 4, 8]
