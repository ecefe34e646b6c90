"""Agreement of a student with its teacher."""

from __future__ import annotations

from torch import Tensor, nn

from models.metrics.intervals import wilson
from models.metrics.prediction import BATCH_SIZE, predict
from models.results.audit import Rate


def agreement(
    network: nn.Module, teacher: nn.Module, images: Tensor, *, batch_size: int = BATCH_SIZE
) -> Rate:
    """Measure the share of images on which both networks name the same class.

    Args:
        network: Takes pixels in [0, 1].
        teacher: Takes pixels in [0, 1].
        images: (N, 3, H, W), uint8 or pixels in [0, 1].
        batch_size: Images at a time.

    Raises:
        ValueError: If there are no images.
    """
    same = predict(network, images, batch_size=batch_size) == predict(teacher, images, batch_size=batch_size)
    return wilson(int(same.sum()), len(same))
