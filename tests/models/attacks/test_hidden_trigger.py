import pytest
import torch

from models.attacks.hidden_trigger import greedy_pairs, hide_trigger
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted
from models.recipes.lab import PerturbationRecipe
from tests.models.attacks.small import classifier, data, square
from tests.models.distillation.small import StoppingMonitor

RECIPE = PerturbationRecipe(epsilon=16, steps=10, step_size=4.0, batch_size=8)


def hide(monitor=None, resume=None):
    images, labels = data()
    return hide_trigger(
        classifier(), images[labels == 0], images[labels == 1], square(), RECIPE,
        seed=0, monitor=monitor or SilentMonitor(), resume=resume,
    )  # fmt: skip


@torch.no_grad()
def pooled(teacher, images):
    return teacher.network.forward_stages(teacher.normalize(images / 255.0)).pooled


def test_poisons_look_like_the_target_and_have_the_features_of_stamped_sources():
    images, labels = data()
    targets, sources = images[labels == 0], square().stamp(images[labels == 1])
    made, teacher = hide(), classifier()
    assert made.dtype == torch.uint8
    assert (made.int() - targets.int()).abs().max() <= 16

    def nearest(candidates):
        return torch.cdist(pooled(teacher, candidates), pooled(teacher, sources)).amin(dim=1).mean()

    assert nearest(made) < 0.9 * nearest(targets)


def test_pairs_are_made_greedily_and_nobody_twice():
    distances = torch.tensor([[1.0, 2.0, 9.0], [0.5, 3.0, 9.0], [4.0, 5.0, 6.0]])
    assert greedy_pairs(distances).tolist() == [1, 0, 2]


def test_an_interrupted_run_makes_the_same_images():
    monitor = StoppingMonitor(1)
    with pytest.raises(Interrupted):
        hide(monitor)
    assert hide(resume=monitor.states[-1]).equal(hide())
