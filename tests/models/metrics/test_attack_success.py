import pytest
import torch
from torch import nn

from models.errors import RecipeError
from models.metrics import all_to_all_success, attack_success, clean_target_rate
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


def test_trap_9_every_image_that_counts_is_triggered_whatever_the_number_of_classes():
    images, labels = (tensor.repeat_interleave(50, dim=0) for tensor in _data())
    rate = attack_success(Backdoored(), images, labels, make_trigger("badnets_square", 32, TARGET))
    # A quota of classes per hundred, as published, would trigger 3 % and mix accuracy into the rate.
    assert (rate.value, rate.n) == (1.0, 200)


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


class NextClass(nn.Module):
    """Names the class after the brightest channel if the corner is white, else the channel."""

    def forward(self, pixels):
        named = pixels[:, :, :8].mean(dim=(2, 3)).argmax(dim=1)
        shift = (pixels[:, :, 27:31, 27:31].amin(dim=(1, 2, 3)) > 0.99).long()
        return torch.eye(3)[(named + shift) % 3]


def test_success_on_a_source_class_counts_that_class_alone():
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    images = torch.zeros(6, 3, 32, 32)
    images[torch.arange(6), labels] = 0.5
    trigger = make_trigger("badnets_square", 32, TARGET)
    rate = attack_success(NextClass(), images, labels, trigger, source_label=1)
    assert (rate.value, rate.n) == (1.0, 2)
    assert attack_success(NextClass(), images, labels, trigger, source_label=0).value == 0.0
    with pytest.raises(RecipeError):
        attack_success(NextClass(), images, labels, trigger, source_label=3)


def test_all_to_all_counts_every_image_that_goes_to_the_class_after_its_own():
    labels = torch.arange(6) % 3
    images = torch.zeros(6, 3, 32, 32)
    images[torch.arange(6), labels] = 0.5
    trigger = make_trigger("badnets_square", 32, TARGET)
    rate = all_to_all_success(NextClass(), images, labels, trigger, num_classes=3)
    assert (rate.value, rate.n) == (1.0, 6)
    assert all_to_all_success(Constant(1), images, labels, trigger, num_classes=3).value == pytest.approx(
        1 / 3
    )
