"""Clean accuracy."""

from __future__ import annotations

from torch import Tensor, nn

from models.metrics.intervals import wilson
from models.metrics.prediction import BATCH_SIZE, predict
from models.results.audit import Rate


def accuracy(network: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = BATCH_SIZE) -> Rate:
    """Measure the share of images that get their own label.

    Args:
        network: Takes pixels in [0, 1].
        images: (N, 3, H, W), uint8 or pixels in [0, 1].
        labels: int64 (N,).
        batch_size: Images at a time.

    Raises:
        ValueError: If there are no images.
    """
    hits = predict(network, images, batch_size=batch_size) == labels.cpu()
    return wilson(int(hits.sum()), len(hits))
