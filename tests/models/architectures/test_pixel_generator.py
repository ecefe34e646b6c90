import pytest
import torch

from models.architectures.pixel_generator import PixelGenerator
from models.errors import RecipeError


def test_the_output_is_pixels() -> None:  # trap 3
    torch.manual_seed(0)
    images = PixelGenerator(16, noise_size=8, width=16)(100.0 * torch.randn(32, 8)).detach()
    assert images.shape == (32, 3, 16, 16)
    assert images.min() >= 0.0
    assert images.max() <= 1.0


def test_a_side_that_is_no_multiple_of_4_is_refused() -> None:
    with pytest.raises(RecipeError) as refused:
        PixelGenerator(30)
    assert refused.value.code == "input_size_unsupported"
