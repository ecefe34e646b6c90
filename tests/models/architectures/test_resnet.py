import pytest
import torch
from torch.nn import functional

from models.architectures import build
from models.architectures.cost import count_parameters
from models.recipes.architecture import ArchitectureSpec


def _network(name: str, device: str = "cpu"):
    torch.manual_seed(0)
    with torch.device(device):
        return build(ArchitectureSpec(name, 10)).eval()


def _plain_forward(network, x):
    """Compute the network the way the paper draws it: every unit ends with its ReLU."""
    x = network.maxpool(functional.relu(network.bn1(network.conv1(x))))
    for index in range(len(network.stage_channels)):
        for unit in network.layer(index):
            out = functional.relu(unit.bn1(unit.conv1(x)))
            out = unit.bn2(unit.conv2(out))
            if hasattr(unit, "conv3"):
                out = unit.bn3(unit.conv3(functional.relu(out)))
            x = functional.relu(out + unit.get_submodule(unit.shortcut_name)(x))
    return network.get_submodule(network.head_name)(x.mean(dim=(2, 3)))


@pytest.mark.parametrize("name", ["resnet-18-w16", "resnet-50-w16-maxpool", "resnext-29-1x64d-pointwise"])
def test_units_that_begin_with_the_previous_relu_compute_the_papers_network(name):
    network, x = _network(name), torch.randn(2, 3, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), _plain_forward(network, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # Counted by the repositories whose layouts they are, for ten classes.
        ("resnet-18", 11_173_962),
        ("resnet-34", 21_282_122),
        ("resnet-50", 23_520_842),
        ("resnext-29-32x4d-pointwise", 4_774_218),
        ("resnext-29-2x64d-pointwise", 9_128_778),
    ],
)
def test_parameters_are_those_of_the_public_networks(name, parameters):
    assert count_parameters(_network(name, "meta")) == parameters


def test_resnext_has_the_size_of_the_papers_table():
    assert round(count_parameters(_network("resnext-29-8x64d", "meta")) / 1e6, 1) == 34.4


@pytest.mark.parametrize(
    ("name", "sides"), [("resnet-18", (32, 16, 8, 4)), ("resnet-18-maxpool", (16, 8, 4, 2))]
)
def test_stages_halve_the_map_and_widths_are_told(name, sides):
    network = _network(name, "meta")
    stages = network.forward_stages(torch.zeros(1, 3, 32, 32, device="meta")).stages
    assert tuple(stage.shape[2] for stage in stages) == sides
    assert tuple(stage.shape[1] for stage in stages) == network.stage_channels


def test_the_last_stage_convolutions_are_those_of_layer4_with_its_shortcut():
    network = _network("resnet-18", "meta")
    assert len(network.stage_convolutions(3)) == 5
    assert network.layer4[0].shortcut[0] in network.stage_convolutions(3)


def test_margins_come_from_the_last_norm_before_the_sum():
    assert _network("resnet-18", "meta").margin_norm(1).num_features == 128
    network = _network("resnet-50-w16", "meta")
    assert network.margin_norm(3) is network.layer4[-1].bn3
