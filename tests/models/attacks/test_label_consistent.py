import pytest
import torch
from torch.nn.functional import cross_entropy

from models.attacks.label_consistent import perturb_against
from models.attacks.teacher import TeacherTraining, train_teacher
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted
from models.recipes.lab import PerturbationRecipe
from tests.models.attacks.small import classifier, data
from tests.models.distillation.small import StoppingMonitor

RECIPE = PerturbationRecipe(epsilon=16, steps=6, step_size=4.0, batch_size=16)


@pytest.fixture(scope="module")
def other():
    made = classifier()
    train_teacher(made, *data(), TeacherTraining(epochs=3, batch_size=20), seed=0, monitor=SilentMonitor())
    return made


def perturb(other, monitor=None, resume=None):
    return perturb_against(other, *data(), RECIPE, seed=0, monitor=monitor or SilentMonitor(), resume=resume)


def test_images_become_harder_within_sixteen_levels(other):
    images, labels = data()
    made = perturb(other)
    assert made.dtype == torch.uint8
    assert 8 < (made.int() - images.int()).abs().max() <= 16
    with torch.no_grad():
        before = cross_entropy(other(images / 255.0), labels)
        assert cross_entropy(other(made / 255.0), labels) > before + 0.1


def test_an_interrupted_run_makes_the_same_images(other):
    monitor = StoppingMonitor(2)
    with pytest.raises(Interrupted):
        perturb(other, monitor)
    assert perturb(other, resume=monitor.states[-1]).equal(perturb(other))
