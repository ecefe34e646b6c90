from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from models.distillation.losses import element_divergence
from models.distillation.vanilla import VanillaTask, distill_vanilla
from models.engine.frozen import frozen
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted, RecipeError
from models.recipes.vanilla import VanillaRecipe
from tests.models.distillation.small import CLASSES, StoppingMonitor, images, network, teacher, weights

RECIPE = VanillaRecipe(images=16 * 5, batch_size=16)
LABELS = torch.arange(48) % CLASSES


def distill(monitor=None, resume=None, labels=LABELS):
    return distill_vanilla(
        teacher(),
        network(),
        images(),
        labels,
        RECIPE,
        seed=3,
        monitor=monitor or SilentMonitor(),
        resume=resume,
    )


def test_an_interrupted_run_ends_in_the_same_student() -> None:
    monitor = StoppingMonitor(2)
    with pytest.raises(Interrupted):
        distill(monitor)
    assert torch.equal(weights(distill(resume=monitor.states[-1]).network), weights(distill().network))


def test_the_loss_joins_both_terms_with_the_squared_temperature() -> None:  # trap 14
    suspect = teacher()
    recipe = replace(RECIPE, distillation_weight=0.7, temperature=6.0)
    with frozen(suspect.network):
        task = VanillaTask(suspect, network(), images(), LABELS, recipe, seed=0)
        task.fast = False
        x, labels = task._batch(0)
        logits = network().train()(x)
        expected = 0.7 * 36 * element_divergence(suspect.network(x), logits, 6.0)
        expected = expected + 0.3 * cross_entropy(logits, labels)
        assert task.step(0)["loss"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_without_labels_the_teacher_alone_is_followed() -> None:
    result = distill(labels=None)
    assert result.final["loss"] == result.final["distance"]


def test_no_images_are_refused() -> None:
    with pytest.raises(RecipeError):
        distill_vanilla(teacher(), network(), images()[:0], None, RECIPE, seed=0, monitor=SilentMonitor())
