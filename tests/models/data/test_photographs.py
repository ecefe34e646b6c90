from pathlib import Path

import numpy as np
import torch
from PIL import Image

from models.data.photographs import builtin_photographs, read_photograph


def test_two_photographs_come_with_the_installation():
    photographs = builtin_photographs()
    assert [tuple(p.shape) for p in photographs] == [(3, 427, 640), (3, 427, 640)]
    assert all(p.dtype == torch.uint8 and p.float().std() > 30 for p in photographs)


def test_a_picture_with_an_alpha_channel_is_read_as_colors(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 4), dtype=np.uint8)
    pixels[..., 0] = 200
    Image.fromarray(pixels).save(tmp_path / "own.png")
    photograph = read_photograph(tmp_path / "own.png")
    assert (photograph.dtype, photograph.shape) == (torch.uint8, (3, 4, 6))
    assert photograph[0].eq(200).all()
