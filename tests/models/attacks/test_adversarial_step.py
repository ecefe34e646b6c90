import pytest
import torch
from torch.nn.functional import cross_entropy

from models.attacks.adversarial_step import adversarial_step
from models.attacks.teacher import TeacherTraining, train_teacher
from models.engine.monitor import SilentMonitor
from models.metrics import accuracy
from tests.models.attacks.small import classifier as fresh
from tests.models.attacks.small import data, weights


def loss(classifier, pixels, labels):
    return float(cross_entropy(classifier(pixels), labels).detach())


def test_a_step_stays_in_the_box_and_raises_the_loss():
    classifier = fresh()
    images, labels = data(60)
    train_teacher(
        classifier, images, labels, TeacherTraining(epochs=3, batch_size=20), seed=0, monitor=SilentMonitor()
    )
    pixels = images.float() / 255
    generator = torch.Generator().manual_seed(0)
    moved = adversarial_step(classifier, pixels, labels, epsilon=0.1, generator=generator)
    assert float((moved - pixels).abs().max()) <= 0.1 + 1e-6
    assert float(moved.min()) >= 0.0
    assert float(moved.max()) <= 1.0
    assert not moved.requires_grad
    assert loss(classifier, moved, labels) > loss(classifier, pixels, labels) + 0.01


@pytest.mark.parametrize("how", [{"adversarial": 0.02}, {"mixup": 0.5}, {"adversarial": 0.02, "mixup": 0.5}])
def test_such_training_learns_and_differs_from_the_plain_one(how):
    images, labels = data(120)
    made = []
    for extra in (how, {}):
        classifier = fresh()
        training = TeacherTraining(epochs=6, batch_size=20, **extra)
        train_teacher(classifier, images, labels, training, seed=0, monitor=SilentMonitor())
        made.append(classifier)
    assert accuracy(made[0], images, labels).value > 0.8
    assert not weights(made[0].network).equal(weights(made[1].network))
