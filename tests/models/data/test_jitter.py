import pytest
import torch

from models.data.jitter import jitter_colors


def _seed(value=0):
    return torch.Generator().manual_seed(value)


def test_about_half_of_the_images_are_changed_and_all_stay_pixels():
    pixels = torch.rand(400, 3, 4, 4, generator=_seed(1))
    jittered = jitter_colors(pixels, _seed())
    changed = (jittered != pixels).flatten(1).any(dim=1)
    assert 160 < changed.sum() < 240
    assert jittered.min() >= 0
    assert jittered.max() <= 1


def test_gray_images_stay_gray():
    pixels = torch.rand(100, 1, 4, 4, generator=_seed(1)).expand(-1, 3, -1, -1)
    jittered = jitter_colors(pixels, _seed())
    # The YIQ matrix is published with four digits: colors of gray are zero to about a thousandth.
    assert (jittered[:, 0] - jittered[:, 2]).abs().max() < 2e-3


def test_brightness_stays_within_two_fifths():
    pixels = torch.full((500, 3, 4, 4), 0.5)
    brightness = jitter_colors(pixels, _seed()).mean(dim=(1, 2, 3))
    assert brightness.min() == pytest.approx(0.3, abs=0.01)
    assert brightness.max() == pytest.approx(0.7, abs=0.01)


def test_the_hue_of_a_color_turns():
    red = torch.tensor([0.6, 0.3, 0.3]).view(1, 3, 1, 1).expand(200, 3, 4, 4)
    jittered = jitter_colors(red, _seed())[:, :, 0, 0]
    assert (jittered[:, 1] - jittered[:, 2]).abs().max() > 0.05
