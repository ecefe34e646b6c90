import pytest
import torch

from models.architectures.staged import StageOutputs
from models.attacks.adaptive_low_variance import LowVariance, last_variance, mean_variance
from models.attacks.teacher import TeacherTraining, TermBatch, train_teacher
from models.engine.monitor import SilentMonitor
from tests.models.attacks.small import classifier, data


def outputs(last):
    return StageOutputs(torch.zeros(len(last), 3), (torch.zeros(1), last), torch.zeros(len(last), 4))


def test_the_variance_is_within_each_image_over_channels_and_positions():
    last = torch.zeros(2, 2, 1, 2)
    last[0, :, :, 0] = 2.0  # half 2, half 0
    assert last_variance(outputs(last)).tolist() == [1.0, 0.0]


def test_the_term_is_a_multiple_of_the_clean_teachers_variance():
    last = torch.zeros(3, 2, 1, 2)
    last[:2, :, :, 0] = 2.0
    last[2] = 7.0  # an image without label does not count
    term = LowVariance(0.5, reference=4.0)
    batch = TermBatch(torch.zeros(3, 3, 8, 8), outputs(last), torch.zeros(2, dtype=torch.int64))
    assert term(classifier().network, batch).item() == pytest.approx(0.5 * 1.0 / 4.0)
    assert term.extra_images(0) is None


def test_training_with_the_term_keeps_the_variance_lower():
    images, labels = data()
    reference = mean_variance(classifier(), images)
    found = []
    for weight in (1e-3, 5.0):
        teacher = classifier()
        result = train_teacher(
            teacher, images, labels, TeacherTraining(epochs=6, batch_size=20, learning_rate=0.02),
            seed=0, monitor=SilentMonitor(), term=LowVariance(weight, reference),
        )  # fmt: skip
        found.append(result.final["variance_loss"] / weight)
    assert found[1] < 0.7 * found[0]
