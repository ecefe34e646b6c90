import torch

from models.data.split import split_for_measuring


def test_parts_are_disjoint_and_complete():
    labels = torch.arange(100) % 7
    training, measuring = split_for_measuring(labels, share=0.4, seed=1)
    assert torch.equal(torch.cat([training, measuring]).sort().values, torch.arange(100))


def test_every_class_keeps_its_share():
    labels = torch.tensor([0] * 80 + [1] * 20)
    _, measuring = split_for_measuring(labels, share=0.25, seed=1)
    assert labels[measuring].bincount().tolist() == [20, 5]


def test_a_class_of_one_image_stays_in_training():
    labels = torch.tensor([0, 0, 0, 0, 1])
    training, _ = split_for_measuring(labels, share=0.5, seed=1)
    assert 4 in training.tolist()


def test_the_seed_decides():
    labels = torch.zeros(50, dtype=torch.int64)
    first = split_for_measuring(labels, share=0.5, seed=1)[1]
    assert torch.equal(first, split_for_measuring(labels, share=0.5, seed=1)[1])
    assert not torch.equal(first, split_for_measuring(labels, share=0.5, seed=2)[1])
