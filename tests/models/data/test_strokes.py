import torch

from models.data.strokes import draw_strokes


def _seed(value=0):
    return torch.Generator().manual_seed(value)


def test_a_flat_patch_has_no_strokes():
    assert draw_strokes(torch.full((20, 3, 16, 16), 0.7), _seed()).max() < 1e-3


def test_an_edge_becomes_bright_on_one_side_and_black_on_the_other():
    pixels = torch.zeros(100, 3, 16, 16)
    pixels[..., 8:] = 1.0
    strokes = draw_strokes(pixels, _seed())
    left, right = strokes[:, 0, 8, 7], strokes[:, 0, 8, 8]
    assert (torch.minimum(left, right) < 0.05).all()
    assert (torch.maximum(left, right) > 0.3).all()


def test_both_polarities_occur():
    pixels = torch.zeros(100, 3, 16, 16)
    pixels[..., 8:] = 1.0
    strokes = draw_strokes(pixels, _seed())
    assert 30 < (strokes[:, 0, 8, 8] > strokes[:, 0, 8, 7]).sum() < 70


def test_most_strokes_leave_the_corners_black():
    strokes = draw_strokes(torch.rand(200, 3, 16, 16, generator=_seed(1)), _seed())
    corners = strokes[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners.amax(dim=1) < 0.1).float().mean() > 0.8
