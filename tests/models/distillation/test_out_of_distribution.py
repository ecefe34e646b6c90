from dataclasses import replace
from functools import cache

import pytest
import torch

from models.distillation.defense import NoDefense
from models.distillation.distilled import Distilled
from models.distillation.losses import batch_divergence
from models.distillation.out_of_distribution import OodTask, distill_ood
from models.engine.frozen import frozen
from models.engine.monitor import Monitor, ResumeState, SilentMonitor
from models.errors import Interrupted
from models.recipes.abd import AbdRecipe, RetrospectionRecipe, VaccineRecipe
from models.recipes.ood import OodRecipe
from tests.models.distillation.small import StoppingMonitor, images, network, teacher, weights

RECIPE = OodRecipe(images=16 * 8, batch_size=16)
ABD = AbdRecipe(
    VaccineRecipe(
        members=2, selection_batches=2, selection_skip=0, selection_ratio=-1.0, selection_max_class_share=1.0
    ),
    RetrospectionRecipe(run="always", share=0.25, images=16, rounds=1),
)


def distill(
    defense: AbdRecipe | None = None,
    monitor: Monitor | None = None,
    resume: ResumeState | None = None,
    recipe: OodRecipe = RECIPE,
    student: str = "wrn-10-1",
) -> Distilled:
    return distill_ood(
        teacher(),
        network(student),
        images(),
        recipe,
        defense=defense,
        seed=7,
        monitor=monitor or SilentMonitor(),
        resume=resume,
    )


def test_the_student_comes_to_agree_with_its_teacher() -> None:
    result = distill(recipe=replace(RECIPE, images=16 * 60, cutmix=False))
    assert result.curve[-1].values["loss"] < 0.5 * result.curve[0].values["loss"]
    assert not result.network.training
    assert (result.steps, result.images_seen) == (60, 960)


def test_equal_seeds_give_equal_students() -> None:
    assert torch.equal(weights(distill().network), weights(distill().network))


@cache
def defended() -> Distilled:
    return distill(ABD)


@pytest.mark.parametrize("stop_after", [pytest.param(3, marks=pytest.mark.slow), 7, 9])
def test_an_interrupted_abd_run_ends_in_the_same_student(stop_after: int) -> None:
    # 8 steps, then the last 2 again: 3 lies in the main run, 7 after the late checkpoint, 9 in retrospection.
    whole, monitor = defended(), StoppingMonitor(stop_after)
    with pytest.raises(Interrupted):
        distill(ABD, monitor)
    resumed = distill(ABD, resume=monitor.states[-1])
    assert torch.equal(weights(resumed.network), weights(whole.network))
    assert resumed.decisions == whole.decisions
    assert resumed.curve == whole.curve


def test_an_interrupted_run_of_a_student_with_dropout_ends_in_the_same_student() -> None:
    monitor = StoppingMonitor(3)
    with pytest.raises(Interrupted):
        distill(monitor=monitor, student="vgg-small-elu")
    resumed = distill(resume=monitor.states[-1], student="vgg-small-elu")
    assert torch.equal(weights(resumed.network), weights(distill(student="vgg-small-elu").network))


def test_the_teacher_is_as_before() -> None:  # trap 21
    suspect = teacher()
    before = weights(suspect.network)
    distill_ood(suspect, network(), images(), RECIPE, defense=ABD, seed=0, monitor=SilentMonitor())
    assert torch.equal(weights(suspect.network), before)


def test_the_loss_is_the_mean_divergence_times_the_squared_temperature() -> None:  # traps 13 and 14
    suspect = teacher()
    with frozen(suspect.network):
        task = OodTask(suspect, network(), images(), RECIPE, seed=7)
        task.fast = False
        x = task._batch(16, "batch 0")
        expected = 64 * batch_divergence(suspect.network(x), network().train()(x), 8.0)
        assert task.step(0)["loss"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_patches_are_normalized_as_the_teacher_was_trained() -> None:  # traps 2 and 3
    suspect = teacher()
    recipe = replace(RECIPE, crop_padding=0, horizontal_flip=False, cutmix=False)
    with frozen(suspect.network):
        x = OodTask(suspect, network(), images()[:1], recipe, seed=0).pseudo_images(1, "any")
    torch.testing.assert_close(suspect.pixel_classifier().denormalize(x), images()[:1].float() / 255)


def test_without_a_defense_the_loss_is_the_mean() -> None:
    losses = torch.tensor([1.0, 3.0])
    assert NoDefense().student_loss(torch.zeros(1), torch.zeros(1), losses) == 2.0
