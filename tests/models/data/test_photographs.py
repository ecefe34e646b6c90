import torch

from models.data.photographs import builtin_photographs


def test_two_photographs_come_with_the_installation():
    photographs = builtin_photographs()
    assert [tuple(p.shape) for p in photographs] == [(3, 427, 640), (3, 427, 640)]
    assert all(p.dtype == torch.uint8 and p.float().std() > 30 for p in photographs)
