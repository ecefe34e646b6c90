import pytest
import torch

from models.architectures.generator import Generator
from models.errors import RecipeError


def test_the_output_is_normalized_and_not_bounded_to_pixels() -> None:  # trap 3
    torch.manual_seed(0)
    images = Generator(16, width=16)(torch.randn(32, 100)).detach()
    assert images.shape == (32, 3, 16, 16)
    assert images.mean().abs() < 0.01
    assert abs(float(images.std()) - 1.0) < 0.01
    assert images.min() < -1.0


def test_equal_noise_gives_equal_images_in_train_mode() -> None:  # why the student steps may share them
    generator = Generator(8, width=8).train()
    noise = torch.randn(4, 100)
    assert torch.equal(generator(noise), generator(noise))


def test_a_side_that_is_no_multiple_of_4_is_refused() -> None:
    with pytest.raises(RecipeError):
        Generator(30)
