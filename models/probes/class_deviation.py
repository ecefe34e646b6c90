"""How far each class lies from the middle one, in a way that a single strange class cannot hide."""

from __future__ import annotations

import torch
from torch import Tensor

#: Makes the median absolute deviation of a normal distribution its standard deviation.
MAD_TO_SIGMA = 1.4826

#: The least spread that is believed, as a share of the largest value: rounding is no spread.
LEAST_SPREAD = 1e-3

#: With fewer classes the middle one and the spread say nothing.
FEWEST_CLASSES = 4


def class_deviations(values: Tensor) -> Tensor:
    """Return how many robust deviations each value lies above the median, ``(v - median) / (1.4826 MAD)``.

    The spread is floored, so that the result stays finite, at most about 1,350, where all others are equal.

    Args:
        values: (K,), finite.

    Returns:
        deviations: (K,), float64; negative below the median.
    """
    values = values.detach().double()
    offset = values - values.quantile(0.5)
    spread = offset.abs().quantile(0.5)
    floor = torch.clamp(LEAST_SPREAD * values.abs().max(), min=1e-12)
    return offset / (MAD_TO_SIGMA * torch.maximum(spread, floor))
