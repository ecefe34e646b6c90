"""The generator of model inversion: it draws pixels in [0, 1].

Like the one of zero-shot transfer (``generator``) but for its last layer, a Sigmoid: what comes out has to be
normalized before a network sees it (algorithms.md 8, item 3). 32x32 images grow from an 8x8 seed through two
doublings; other sides scale the seed.

Source: Fang et al., IJCAI 2021; layers and initialization after algorithms.md 2.2.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from models.errors import RecipeError

#: Two doublings: sides are multiples of it.
SIDE_STEP = 4


class PixelGenerator(nn.Module):
    """Maps noise (N, noise_size) to pixels in [0, 1], (N, 3, side, side)."""

    def __init__(self, side: int, noise_size: int = 256, width: int = 128) -> None:
        """Build and initialize the generator.

        Args:
            side: Side of the images in pixels, a multiple of 4.
            noise_size: Length of the noise vector.
            width: Channels of the seed; 128 in CMI.

        Raises:
            RecipeError: ``input_size_unsupported`` if ``side`` is not a multiple of 4.
        """
        super().__init__()
        if side % SIDE_STEP:
            raise RecipeError(
                f"Model inversion draws images whose side is a multiple of {SIDE_STEP}, not {side}.",
                code="input_size_unsupported",
                hint="Use the ood method for this teacher.",
            )
        self.seed_shape = (width, side // SIDE_STEP, side // SIDE_STEP)
        self.expand = nn.Linear(noise_size, width * (side // SIDE_STEP) ** 2)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width // 2, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width // 2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width // 2, 3, 3, 1, 1),
            nn.Sigmoid(),
        )
        for module in self.modules():
            initialize(module)

    def forward(self, noise: Tensor) -> Tensor:
        """Map noise (N, noise_size) to pixels in [0, 1], (N, 3, side, side)."""
        seed = self.expand(noise).view(-1, *self.seed_shape)
        return cast(Tensor, self.layers(seed))


def initialize(module: nn.Module) -> None:
    """Draw one layer's weights from torch's global generator: N(0, .02²), around 1 for a BatchNorm."""
    if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
