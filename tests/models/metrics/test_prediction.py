import pytest
import torch
from torch import nn

from models.metrics import accuracy, agreement, predict


class Brightest(nn.Module):
    """Names the brightest channel."""

    def forward(self, pixels):
        assert (pixels <= 1.0).all()
        return pixels.mean(dim=(2, 3))


def _colors(labels):
    images = torch.zeros(len(labels), 3, 8, 8, dtype=torch.uint8)
    for index, label in enumerate(labels):
        images[index, label] = 200
    return images


def test_bytes_reach_the_network_as_pixels():
    assert predict(Brightest(), _colors([0, 2, 1])).tolist() == [0, 2, 1]


def test_batches_do_not_change_the_answer():
    images = _colors([0, 1, 2, 2, 1, 0, 1])
    assert predict(Brightest(), images, batch_size=2).equal(predict(Brightest(), images))


def test_measuring_moves_no_batchnorm_buffer_and_restores_every_mode():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), Brightest())
    network.train()
    network[1].eval()
    before = network[0].running_mean.clone()
    predict(network.double().float(), torch.zeros(4, 3, 8, 8))
    assert network[0].running_mean.equal(before)
    assert (network.training, network[0].training, network[1].training) == (True, True, False)


def test_accuracy_counts_all_images():
    rate = accuracy(Brightest(), _colors([0, 1, 2, 2]), torch.tensor([0, 1, 2, 0]))
    assert (rate.value, rate.n) == (0.75, 4)


def test_agreement_needs_no_labels():
    class Always(nn.Module):
        def forward(self, pixels):
            return torch.eye(3)[1].expand(len(pixels), 3)

    assert agreement(Always(), Brightest(), _colors([0, 1, 1, 2])).value == 0.5


def test_no_images_are_no_measurement():
    with pytest.raises(ValueError, match="not a share"):
        accuracy(Brightest(), torch.zeros(0, 3, 8, 8), torch.zeros(0, dtype=torch.int64))
