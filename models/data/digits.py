"""Handwritten digits of scikit-learn, as three-channel images of any size.

1,797 gray images of 8x8 (Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI).
They need no download, so that demos and tests can train a teacher anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits as load_bundled_digits
from torch import Tensor
from torch.nn.functional import interpolate

TEST_IMAGES = 360
_GRAY_LEVELS = 16


@dataclass(frozen=True, eq=False)
class DigitsSplit:
    """Digits 0 to 9: images uint8 (N, 3, S, S) with three equal channels, labels int64 (N,)."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def load_digits(size: int, seed: int) -> DigitsSplit:
    """Load 1,437 training and 360 test images.

    Args:
        size: Side in pixels; the 8x8 originals are enlarged bicubically.
        seed: Of the split.
    """
    gray, labels = load_bundled_digits(return_X_y=True)
    pixels = torch.from_numpy(np.asarray(gray, dtype=np.float32)).view(-1, 1, 8, 8) / _GRAY_LEVELS
    resized = interpolate(pixels, size=(size, size), mode="bicubic", align_corners=False)
    images = (resized.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).repeat(1, 3, 1, 1)
    targets = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    test, train = order[:TEST_IMAGES], order[TEST_IMAGES:]
    return DigitsSplit(images[train], targets[train], images[test], targets[test])
