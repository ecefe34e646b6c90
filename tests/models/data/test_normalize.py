import pytest
import torch

from models.data.normalize import measure_normalization


def test_statistics_are_per_channel_and_in_pixel_units():
    images = torch.zeros(2, 3, 2, 2, dtype=torch.uint8)
    images[0, 0] = 255
    images[:, 1] = 51
    normalization = measure_normalization(images)
    assert normalization.mean == pytest.approx((0.5, 0.2, 0.0))
    assert normalization.std[0] == pytest.approx(0.5)


def test_a_constant_channel_does_not_divide_by_zero():
    assert measure_normalization(torch.zeros(2, 3, 2, 2, dtype=torch.uint8)).std == pytest.approx((1e-3,) * 3)
