import torch

from models.architectures import PixelClassifier, build
from models.recipes.architecture import ArchitectureSpec, Normalization


def test_pixels_are_normalized_before_the_network() -> None:  # trap 2
    torch.manual_seed(0)
    network = build(ArchitectureSpec("wrn-10-1", 4, 8)).eval()
    classifier = PixelClassifier(network, Normalization((0.1, 0.2, 0.3), (0.5, 0.25, 0.2)))
    pixels = torch.rand(2, 3, 8, 8)
    mean = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)
    std = torch.tensor([0.5, 0.25, 0.2]).view(3, 1, 1)
    torch.testing.assert_close(classifier(pixels), network((pixels - mean) / std))
    torch.testing.assert_close(classifier.denormalize(classifier.normalize(pixels)), pixels)


def test_the_normalization_is_not_part_of_the_weights() -> None:
    network = build(ArchitectureSpec("wrn-10-1", 4, 8))
    names = PixelClassifier(network, Normalization()).state_dict()
    assert all(name.startswith("network.") for name in names)
