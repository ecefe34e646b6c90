import torch

from models.data.digits import load_digits


def test_digits_come_in_the_size_asked_for_with_equal_channels():
    split = load_digits(16, seed=0)
    assert split.train_images.shape == (1437, 3, 16, 16)
    assert split.test_images.shape == (360, 3, 16, 16)
    assert split.train_images.dtype == torch.uint8
    assert split.test_images[:, 0].equal(split.test_images[:, 2])
    assert split.test_labels.unique().tolist() == list(range(10))


def test_the_seed_makes_the_split():
    first, again, other = load_digits(8, seed=1), load_digits(8, seed=1), load_digits(8, seed=2)
    assert first.test_images.equal(again.test_images)
    assert not first.test_images.equal(other.test_images)


def test_no_test_image_is_trained_on():
    split = load_digits(8, seed=0)
    total = torch.cat([split.train_images, split.test_images]).flatten(1)
    assert len(total) == 1797
    train = {tuple(image) for image in split.train_images[:, 0].flatten(1).tolist()}
    # scikit-learn's set holds no two equal images, so equality would mean a leak.
    assert not any(tuple(image) in train for image in split.test_images[:, 0].flatten(1).tolist())


def test_original_size_keeps_the_gray_levels():
    levels = load_digits(8, seed=0).train_images.unique()
    assert len(levels) == 17
    assert levels[-1] == 255
