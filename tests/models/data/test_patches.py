import pytest
import torch

from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.errors import DataRejected


@pytest.fixture(scope="module")
def photographs():
    return builtin_photographs()


@pytest.mark.parametrize("style", ["photo", "strokes"])
@pytest.mark.parametrize("size", [16, 32])
def test_patches_have_the_size_asked_for_and_differ_from_each_other(photographs, style, size):
    patches = make_patches(photographs, count=40, size=size, seed=0, style=style)
    assert patches.shape == (40, 3, size, size)
    assert patches.dtype == torch.uint8
    assert len({patch.numpy().tobytes() for patch in patches}) == 40


def test_the_seed_alone_makes_the_patches(photographs):
    state = torch.get_rng_state()
    first = make_patches(photographs, count=20, size=16, seed=3)
    torch.manual_seed(99)
    assert make_patches(photographs, count=20, size=16, seed=3).equal(first)
    assert not make_patches(photographs, count=20, size=16, seed=4).equal(first)
    torch.set_rng_state(state)


def test_drawing_patches_leaves_the_global_random_state_alone(photographs):
    state = torch.get_rng_state()
    make_patches(photographs, count=20, size=16, seed=3)
    assert torch.get_rng_state().equal(state)


def test_both_photographs_are_used_evenly():
    photographs = [torch.full((3, 64, 64), level, dtype=torch.uint8) for level in (10, 240)]
    middles = make_patches(photographs, count=100, size=16, seed=0)[:, :, 8, 8].float().mean(dim=1)
    assert (middles < 100).sum() == 50


def test_strokes_are_gray_on_black(photographs):
    patches = make_patches(photographs, count=60, size=16, seed=0, style="strokes")
    assert patches[:, 0].equal(patches[:, 1])
    assert patches[:, 0].equal(patches[:, 2])
    assert (patches == 0).float().mean() > 0.3
    assert patches.amax(dim=(1, 2, 3)).float().median() > 200


def test_photographs_in_color_stay_in_color(photographs):
    patches = make_patches(photographs, count=60, size=16, seed=0).float()
    assert (patches[:, 0] - patches[:, 2]).abs().mean() > 10


def test_a_coarse_cut_is_antialiased():
    # A checkerboard of single pixels has mean 127.5; sampled without an image pyramid, patches of large
    # cuts would keep its full contrast as moire.
    board = ((torch.arange(2048)[:, None] + torch.arange(2048)) % 2 * 255).to(torch.uint8).expand(3, -1, -1)
    patches = make_patches([board], count=60, size=16, seed=0)[:, 1, 5:11, 5:11].float()
    assert patches.flatten(1).std(dim=1).median() < 5


def test_the_center_is_never_black_from_turning():
    white = torch.full((3, 200, 200), 255, dtype=torch.uint8)
    patches = make_patches([white], count=200, size=16, seed=0)
    # Jitter darkens to 0.6 at most; at 30 degrees of turn and shear corners may leave the canvas.
    assert patches[:, :, 4:12, 4:12].min() > 140


def test_a_small_photograph_still_gives_varied_patches():
    photograph = torch.randint(0, 256, (3, 20, 20), dtype=torch.uint8)
    patches = make_patches([photograph], count=10, size=32, seed=0)
    assert patches.float().flatten(1).std(dim=1).min() > 5


@pytest.mark.parametrize("photographs", [[], [torch.zeros(3, 15, 400, dtype=torch.uint8)]])
def test_nothing_to_cut_from_is_refused(photographs):
    with pytest.raises(DataRejected) as caught:
        make_patches(photographs, count=10, size=16, seed=0)
    assert caught.value.code == "photograph_too_small"


def test_sharp_patches_keep_the_detail_that_smoothing_removes():
    board = ((torch.arange(2048)[:, None] + torch.arange(2048)) % 2 * 255).to(torch.uint8).expand(3, -1, -1)

    def flat(share):
        patches = make_patches([board], count=60, size=16, seed=0, sharp_share=share)[:, 1, 5:11, 5:11]
        return (patches.float().flatten(1).std(dim=1) < 20).float().mean()

    assert flat(1.0) < 0.1
    assert 0.2 < flat(0.5) < 0.8


def test_strokes_are_never_sharp(photographs):
    smooth, sharp = (
        make_patches(photographs, count=20, size=16, seed=0, style="strokes", sharp_share=share)
        for share in (0.0, 1.0)
    )
    assert smooth.equal(sharp)
