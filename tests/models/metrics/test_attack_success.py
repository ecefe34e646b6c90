import pytest
import torch
from torch import nn

from models.errors import RecipeError
from models.metrics import attack_success, clean_target_rate
from models.triggers import make_trigger

TARGET = 2


class Backdoored(nn.Module):
    """Names the brightest channel, or class 2 if the corner is white."""

    def forward(self, pixels):
        logits = pixels[:, :, :8].mean(dim=(2, 3))
        logits[:, TARGET] += 9.0 * (pixels[:, :, 27:31, 27:31].amin(dim=(1, 2, 3)) > 0.99)
        return logits


class Constant(nn.Module):
    def __init__(self, label):
        super().__init__()
        self.label = label

    def forward(self, pixels):
        return torch.eye(3)[self.label].expand(len(pixels), 3)


def _data():
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2, 2])
    images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    images[torch.arange(8), labels] = 150
    return images, labels


def test_a_backdoor_is_measured():
    images, labels = _data()
    trigger = make_trigger("badnets_square", 32, TARGET)
    assert attack_success(Backdoored(), images, labels, trigger).value == 1.0
    assert clean_target_rate(Backdoored(), images, labels, TARGET).value == 0.0


def test_trap_8_images_of_the_target_class_are_left_out_and_n_is_reported():
    images, labels = _data()
    rate = attack_success(Backdoored(), images, labels, make_trigger("ring", 32, TARGET))
    # Over all eight images the rate would be 0.5: four of them are of the target class anyway.
    assert (rate.value, rate.n) == (0.0, 4)


def test_trap_8_without_labels_the_teachers_predictions_leave_out_the_target_class():
    images, _ = _data()
    trigger = make_trigger("badnets_square", 32, TARGET)
    rate = attack_success(Constant(0), images, None, trigger, teacher=Backdoored())
    assert (rate.value, rate.n) == (0.0, 4)


def test_trap_11_a_collapsed_network_shows_in_the_rate_without_trigger():
    images, labels = _data()
    trigger = make_trigger("badnets_square", 32, TARGET)
    assert attack_success(Constant(TARGET), images, labels, trigger).value == 1.0
    assert clean_target_rate(Constant(TARGET), images, labels, TARGET).value == 1.0


def test_batches_do_not_change_the_rate():
    images, labels = _data()
    trigger = make_trigger("badnets_square", 32, TARGET)
    assert attack_success(Backdoored(), images, labels, trigger, batch_size=3).n == 4


def test_only_target_images_cannot_be_measured():
    images, labels = _data()
    with pytest.raises(RecipeError) as caught:
        attack_success(Backdoored(), images[4:], labels[4:], make_trigger("ring", 32, TARGET))
    assert caught.value.code == "nothing_to_measure"


def test_neither_labels_nor_teacher_is_refused():
    images, _ = _data()
    with pytest.raises(RecipeError) as caught:
        attack_success(Backdoored(), images, None, make_trigger("ring", 32, TARGET))
    assert caught.value.code == "labels_missing"
