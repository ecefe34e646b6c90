import pytest
import torch

from models.data.labelled import LabelledImages
from models.errors import DataRejected
from models.lab.workshop import long_tail


def test_a_long_tail_keeps_geometrically_fewer_of_later_classes():
    labels = torch.arange(300) % 3
    images = torch.arange(300).view(-1, 1, 1, 1).expand(-1, 3, 1, 1) % 256
    kept = long_tail(LabelledImages(images.to(torch.uint8), labels), 100.0, 3)
    assert kept.labels.bincount().tolist() == [100, 10, 1]
    assert kept.images[:, 0, 0, 0].tolist()[:6] == [0, 1, 2, 3, 4, 6]


def test_a_ratio_of_one_keeps_all():
    data = LabelledImages(torch.zeros(5, 3, 2, 2, dtype=torch.uint8), torch.zeros(5, dtype=torch.int64))
    assert long_tail(data, 1.0, 2) is data


def test_a_single_class_has_no_tail():
    """The share was taken by K - 1 classes."""
    data = LabelledImages(torch.zeros(5, 3, 2, 2, dtype=torch.uint8), torch.zeros(5, dtype=torch.int64))
    assert long_tail(data, 10.0, 1) is data


def test_images_need_a_label_each_and_are_bytes():
    with pytest.raises(DataRejected):
        LabelledImages(torch.zeros(5, 3, 2, 2, dtype=torch.uint8), torch.zeros(4))
    with pytest.raises(DataRejected):
        LabelledImages(torch.zeros(4, 3, 2, 2), torch.zeros(4))
