"""Three classes of colored noise and a network for them, small enough for a step in milliseconds."""

import torch
from torch import Tensor

from models.architectures import PixelClassifier, build
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.triggers import Trigger, make_trigger

SIZE = 8
CLASSES = 3


def classifier(seed: int = 0) -> PixelClassifier:
    torch.manual_seed(seed)
    network = build(ArchitectureSpec("wrn-10-1", CLASSES, SIZE))
    return PixelClassifier(network.eval(), Normalization((0.3, 0.3, 0.3), (0.3, 0.3, 0.3)))


def data(count: int = 60) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, 3, 8, 8) whose class is the bright channel, and labels."""
    labels = torch.arange(count) % CLASSES
    images = torch.randint(0, 80, (count, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(1))
    images[torch.arange(count), labels] += 60
    return images.to(torch.uint8), labels


def square(target_label: int = 0) -> Trigger:
    return make_trigger("badnets_square", SIZE, target_label)


def weights(network: torch.nn.Module) -> Tensor:
    return torch.cat([tensor.flatten().float() for tensor in network.state_dict().values()])
