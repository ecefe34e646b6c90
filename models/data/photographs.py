"""The photographs that surrogate patches are cut from when the user gives none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor


def builtin_photographs() -> list[Tensor]:
    """Return the two photographs in scikit-learn's wheel, a temple and a flower, each uint8 (3, 427, 640).

    Both are CC BY 2.0, by danielbuechele and by vultilion on Flickr; nothing of them is stored here.
    """
    images = load_sample_images().images
    return [
        torch.from_numpy(np.array(image, dtype=np.uint8)).permute(2, 0, 1).contiguous() for image in images
    ]


def read_photograph(path: Path) -> Tensor:
    """Read a picture of one's own, not one that was uploaded, as uint8 (3, H, W)."""
    with Image.open(path) as image:
        return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1)
