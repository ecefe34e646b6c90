"""One step of the gradient's sign, for adversarial training.

Wong, Rice and Kolter, "Fast is better than free", ICLR 2020: a random start in the box, one step of 1.25
times its half side. BatchNorm's running statistics take in the random start, too.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.architectures import PixelClassifier

#: Length of the step in units of epsilon.
STEP = 1.25


def adversarial_step(
    classifier: PixelClassifier, pixels: Tensor, labels: Tensor, *, epsilon: float, generator: torch.Generator
) -> Tensor:
    """Change images so that their loss rises.

    Args:
        classifier: In the mode in which it will see the result.
        pixels: (N, 3, H, W) in [0, 1].
        labels: int64 (N,).
        epsilon: Largest change of a pixel.
        generator: Of the start; on any device.

    Returns:
        (N, 3, H, W) in [0, 1], no gradient attached.
    """
    start = torch.rand(pixels.shape, generator=generator, device=generator.device).to(pixels.device)
    change = (epsilon * (2 * start - 1)).requires_grad_()
    loss = cross_entropy(classifier((pixels + change).clamp(0, 1)).float(), labels)
    (gradient,) = torch.autograd.grad(loss, change)
    moved = (change.detach() + STEP * epsilon * gradient.sign()).clamp(-epsilon, epsilon)
    return (pixels + moved).clamp(0, 1)
