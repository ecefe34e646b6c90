"""The generator of zero-shot knowledge transfer.

Its output lives in the teacher's *normalized* space: the last layer is a BatchNorm, so every channel has
about mean beta and deviation gamma, 0 and 1 at first; nothing bounds a pixel (algorithms.md 2.1 and 8, item
3). ZSKT draws 32x32 images from an 8x8 seed through two doublings; other sides keep the two doublings and
scale the seed.

Source: Micaelli and Storkey, NeurIPS 2019.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from models.errors import RecipeError


class Generator(nn.Module):
    """Maps noise (N, noise_size) to normalized images (N, 3, side, side)."""

    def __init__(self, side: int, noise_size: int = 100, width: int = 128) -> None:
        """Build the generator.

        Args:
            side: Side of the images in pixels, a multiple of 4.
            noise_size: Length of the noise vector.
            width: Channels of the seed; 128 in ZSKT.

        Raises:
            RecipeError: If ``side`` is not a multiple of 4.
        """
        super().__init__()
        if side % 4:
            raise RecipeError(
                f"Zero-shot transfer draws images whose side is a multiple of 4, not {side}.",
                code="input_size_unsupported",
                hint="Use the ood method for this teacher.",
            )
        self.noise_size = noise_size
        self.seed_shape = (width, side // 4, side // 4)
        self.expand = nn.Linear(noise_size, width * (side // 4) ** 2)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width // 2, 3, 1, 1),
            nn.BatchNorm2d(width // 2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width // 2, 3, 3, 1, 1),
            nn.BatchNorm2d(3),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Map noise (N, noise_size) to normalized images (N, 3, side, side)."""
        seed = self.expand(noise).view(-1, *self.seed_shape)
        return cast(Tensor, self.layers(seed))
