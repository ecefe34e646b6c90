import pytest
import torch

from models.data.augment import cutmix, cutout, mixup, random_crop, random_flip

DTYPES = [torch.uint8, torch.float32]


def _seed(value=0):
    return torch.Generator().manual_seed(value)


def _images(dtype, count=64):
    return torch.randint(1, 256, (count, 3, 8, 8), generator=_seed(1)).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["zero", "reflect"])
def test_a_crop_is_a_window_of_the_padded_image(dtype, mode):
    images = _images(dtype, count=30)
    cropped = random_crop(images, padding=2, mode=mode, generator=_seed())
    kind = "reflect" if mode == "reflect" else "constant"
    padded = torch.nn.functional.pad(images.float(), (2,) * 4, mode=kind).to(dtype)
    for image, canvas in zip(cropped, padded, strict=True):
        windows = [canvas[:, r : r + 8, c : c + 8] for r in range(5) for c in range(5)]
        assert any(image.equal(window) for window in windows)
    assert cropped.dtype == dtype


def test_crops_shift_each_image_by_itself_and_reach_the_full_distance():
    column = torch.zeros(400, 1, 1, 9)
    column[..., 4] = 1.0
    shifts = random_crop(column.expand(-1, 1, 9, 9), padding=2, generator=_seed()).amax(dim=2).argmax(dim=-1)
    assert shifts.unique().tolist() == [2, 3, 4, 5, 6]


def test_no_padding_is_no_crop():
    images = _images(torch.uint8)
    assert random_crop(images, padding=0, generator=_seed()).equal(images)


@pytest.mark.parametrize("dtype", DTYPES)
def test_about_half_of_the_images_are_mirrored(dtype):
    images = _images(dtype, count=400)
    flipped = random_flip(images, generator=_seed())
    mirrored = (flipped == images.flip(-1)).flatten(1).all(dim=1)
    assert flipped[~mirrored].equal(images[~mirrored])
    assert 160 < mirrored.sum() < 240


@pytest.mark.parametrize("dtype", DTYPES)
def test_cutmix_pastes_one_box_from_other_images_of_the_batch(dtype):
    images = torch.arange(1, 101).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).to(dtype).contiguous()
    mixed = cutmix(images, generator=_seed(4))
    foreign = (mixed != images).any(dim=1)
    rows, columns = torch.nonzero(foreign.any(dim=0), as_tuple=True)
    box = foreign[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert 0 < foreign.float().mean() < 1
    assert box.flatten(1).all(dim=1).sum() >= 95  # a shuffled copy keeps about one image in its own place
    assert set(mixed.unique().tolist()) == set(images.unique().tolist())


def test_cutmix_boxes_are_mostly_nearly_empty_or_nearly_full():
    generator = _seed()
    images = torch.arange(50.0).view(-1, 1, 1, 1).expand(-1, 1, 16, 16).contiguous()
    areas = [(cutmix(images, generator=generator) != images).float().mean().item() for _ in range(200)]
    # Beta(.25, .25) puts 61 % of its mass outside of [.1, .9]; the border cuts large boxes smaller.
    assert sum(area < 0.1 for area in areas) > 60
    assert sum(area > 0.6 for area in areas) > 10


@pytest.mark.parametrize(
    "augment",
    [
        lambda images, generator: random_crop(images, padding=2, generator=generator),
        lambda images, generator: random_flip(images, generator=generator),
        lambda images, generator: cutmix(images, generator=generator),
    ],
)
def test_only_the_generator_decides_and_the_input_is_left_alone(augment):
    images = _images(torch.uint8)
    before = images.clone()
    first = augment(images, _seed(4))
    torch.manual_seed(123)
    assert augment(images, _seed(4)).equal(first)
    assert images.equal(before)


def test_cutout_blackens_one_square_in_each_image():
    images = torch.full((200, 3, 16, 16), 9, dtype=torch.uint8)
    made = cutout(images, side=4, generator=_seed(1))
    black = (made == 0).all(dim=1)
    assert ((made == 0) | (made == 9)).all()
    assert black.flatten(1).sum(dim=1).max() == 16
    for each in black:
        rows, columns = torch.nonzero(each.any(dim=1)).flatten(), torch.nonzero(each.any(dim=0)).flatten()
        assert each.sum() == len(rows) * len(columns)
    assert len({tuple(each.flatten().tolist()) for each in black}) > 100


def test_mixup_blends_each_image_with_the_one_that_its_order_names():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(16, 3, 4, 4, generator=generator)
    shares = []
    for _ in range(50):
        mixed, order, share = mixup(images, generator=generator, concentration=0.4)
        assert torch.allclose(mixed, share * images + (1 - share) * images[order])
        assert order.sort().values.tolist() == list(range(16))
        shares.append(share)
    assert min(shares) < 0.1
    assert max(shares) > 0.9
