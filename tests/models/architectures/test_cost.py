import pytest
import torch
from torch import nn

from models.architectures.cost import count_macs, count_parameters
from models.architectures.resnet_cifar import build_resnet_cifar
from models.architectures.wide_resnet import build_wide_resnet
from models.recipes.architecture import ArchitectureSpec


@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    [("wrn-16-1", 26.7e6, 0.175e6), ("wrn-16-2", 101.1e6, 0.69e6), ("wrn-40-2", 328e6, 2.24e6)],
)
def test_wide_resnets_cost_what_the_literature_says(name, macs, parameters):
    network = build_wide_resnet(ArchitectureSpec(name, 10))
    assert count_macs(network, 32) == pytest.approx(macs, rel=0.01)
    assert count_parameters(network) == pytest.approx(parameters, rel=0.01)


def test_resnet_20_costs_what_the_literature_says():
    network = build_resnet_cifar(ArchitectureSpec("resnet-20", 10))
    assert count_macs(network, 32) == pytest.approx(40.8e6, rel=0.01)
    assert count_parameters(network) == pytest.approx(0.27e6, rel=0.01)


def test_groups_divide_the_macs():
    plain, grouped = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 6, 3, padding=1, groups=3)
    assert count_macs(plain, 8) == 3 * 9 * 6 * 64
    assert count_macs(grouped, 8) == 9 * 6 * 64


def test_counting_leaves_the_network_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count_macs(network, 8)
    assert network.training
    assert not network[0]._forward_hooks
    assert all(
        value.device.type == "cpu" and value.equal(before[name])
        for name, value in network.state_dict().items()
    )
    assert network(torch.zeros(1, 3, 8, 8)).device.type == "cpu"
