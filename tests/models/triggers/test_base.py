import pytest
import torch

from models.errors import RecipeError
from models.triggers import Trigger, make_trigger


def _trigger(kind="replace", pattern=None, mask=None, target_label=0):
    pattern = torch.full((3, 4, 4), 0.5) if pattern is None else pattern
    mask = torch.ones(1, 4, 4) if mask is None else mask
    return Trigger("t", kind, pattern, mask, target_label)


def test_replace_writes_the_pattern_where_the_mask_is_and_nothing_elsewhere():
    mask = torch.zeros(1, 4, 4)
    mask[:, 1, 2] = 1.0
    images = torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8)
    stamped = _trigger(mask=mask).stamp(images)
    assert (stamped[:, :, 1, 2] == 128).all()
    changed = (stamped != images).any(dim=1)
    changed[:, 1, 2] = False
    assert not changed.any()


def test_blend_mixes_by_the_mask():
    images = torch.full((1, 3, 4, 4), 100, dtype=torch.uint8)
    trigger = _trigger("blend", pattern=torch.ones(3, 4, 4), mask=torch.full((1, 4, 4), 0.2))
    assert (trigger.stamp(images) == 131).all()  # 0.8 * 100 + 0.2 * 255


def test_stamping_leaves_the_input_alone():
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    _trigger().stamp(images)
    assert not images.any()


def test_trap_1_bytes_are_stamped_on_the_grid_of_bytes_before_normalizing():
    # 0.8 * 7 + 0.2 * 14 = 8.4: the attacker's cast leaves 8; a float stamp would show the teacher 8.4.
    images = torch.full((1, 3, 4, 4), 7, dtype=torch.uint8)
    trigger = _trigger("blend", pattern=torch.full((3, 4, 4), 14 / 255), mask=torch.full((1, 4, 4), 0.2))
    stamped = trigger.stamp(images)
    assert stamped.dtype == torch.uint8
    assert (stamped == 8).all()


def test_truncation_does_not_lose_a_level_to_float_rounding():
    images = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
    trigger = _trigger("blend", pattern=torch.ones(3, 4, 4), mask=torch.full((1, 4, 4), 0.2))
    assert (trigger.stamp(images) == 255).all()


def test_trap_7_adding_a_bright_pattern_saturates_instead_of_wrapping():
    images = torch.full((1, 3, 4, 4), 250, dtype=torch.uint8)
    trigger = _trigger("additive", pattern=torch.full((3, 4, 4), 10 / 255))
    assert (trigger.stamp(images) == 255).all()


def test_a_negative_additive_pattern_stops_at_black():
    images = torch.full((1, 3, 4, 4), 5, dtype=torch.uint8)
    assert (_trigger("additive", pattern=torch.full((3, 4, 4), -0.1)).stamp(images) == 0).all()


def test_pixels_are_stamped_like_bytes_and_let_gradients_through():
    # Away from 0 and 255, where clipping stops the gradient.
    images = torch.randint(20, 236, (4, 3, 32, 32), dtype=torch.uint8)
    trigger = make_trigger("trojan_3x3", 32, 0)
    pixels = (images / 255.0).requires_grad_()
    stamped = trigger.stamp(pixels)
    assert torch.allclose(stamped * 255, trigger.stamp(images).float(), atol=1e-3)
    stamped.sum().backward()
    assert pixels.grad is not None
    assert pixels.grad[:, :, 0, 0].eq(1).all()


def test_images_of_another_size_are_refused():
    with pytest.raises(RecipeError) as caught:
        _trigger().stamp(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    assert caught.value.code == "trigger_size_mismatch"


@pytest.mark.parametrize(
    "arguments",
    [
        {"pattern": torch.zeros(1, 4, 4)},
        {"pattern": torch.full((3, 4, 4), 255.0)},
        {"pattern": torch.full((3, 4, 4), float("nan"))},
        {"pattern": torch.zeros(3, 4, 4, dtype=torch.uint8)},
        {"pattern": torch.full((3, 4, 4), -0.1)},
        {"mask": torch.ones(4, 4)},
        {"mask": torch.ones(1, 5, 4)},
        {"mask": torch.full((1, 4, 4), 1.5)},
        {"target_label": -1},
    ],
)
def test_what_cannot_be_a_trigger_is_refused(arguments):
    with pytest.raises(RecipeError) as caught:
        _trigger(**arguments)
    assert caught.value.code == "trigger_invalid"


def test_mask_area_counts_the_pixels_it_can_change():
    assert make_trigger("badnets_square", 32, 8).mask_area == pytest.approx(16 / 1024)
    assert make_trigger("trojan_3x3", 32, 0).mask_area == pytest.approx(9 / 1024)
    assert make_trigger("blend_substitute", 32, 0).mask_area == 1.0


def test_trap_5_a_rescaled_trigger_stretches_the_whole_image_and_so_changes_far_pixels():
    pattern = torch.zeros(3, 4, 4)
    pattern[0, 0, 0] = 100 / 255
    trigger = _trigger("rescaled", pattern=pattern, mask=torch.ones(1, 4, 4))
    images = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    images[1, 2, 3, 3] = 50
    stamped = trigger.stamp(images)
    # One minimum and one maximum for all channels of an image, and for each image its own.
    assert stamped[0, 0, 0, 0] == stamped[1, 0, 0, 0] == 255
    assert (stamped[0, 1:] == 0).all()
    assert stamped[1, 1, 2, 2] == 255 * 50 // 150
    assert stamped[1, 2, 3, 3] == 0
    assert trigger.mask_area == 1.0
    torch.testing.assert_close(trigger.stamp(images / 255.0), stamped / 255.0, atol=1 / 255, rtol=0)


def test_a_rescaled_image_of_one_color_is_black_and_no_nan():
    trigger = _trigger("rescaled", pattern=torch.zeros(3, 4, 4), mask=torch.ones(1, 4, 4))
    assert (trigger.stamp(torch.full((1, 3, 4, 4), 7, dtype=torch.uint8)) == 0).all()
    assert (trigger.stamp(torch.full((1, 3, 4, 4), 0.7)) == 0).all()
