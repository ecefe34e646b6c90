import pytest
import torch
from torch.nn import functional

from models.architectures import build
from models.architectures.cost import count_parameters
from models.architectures.preact_resnet import build_preact_resnet
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec


def _network(name: str, device: str = "cpu"):
    torch.manual_seed(0)
    with torch.device(device):
        return build(ArchitectureSpec(name, 10)).eval()


@pytest.mark.parametrize(
    ("name", "parameters"),
    # As the repository counts it; two more per channel of the last BatchNorm; the paper's 36.5 M.
    [
        ("preact-resnet-18", 11_171_146),
        ("preact-resnet-18-bn", 11_171_146 + 2 * 512),
        ("wrn-28-10-biased", 36_489_290),
    ],
)
def test_parameters_are_those_of_the_public_networks(name, parameters):
    assert count_parameters(_network(name, "meta")) == parameters


def test_the_shortcut_takes_the_activated_input():
    unit = _network("preact-resnet-18-w16").layer2[0]
    x = torch.randn(1, 16, 8, 8)
    activated = functional.relu(unit.bn1(x))
    out = unit.conv2(functional.relu(unit.bn2(unit.conv1(activated))))
    assert torch.equal(unit(x), out + unit.shortcut(activated))


def test_the_biased_shortcut_takes_the_raw_input_and_the_second_convolution_strides():
    unit = _network("wrn-10-1-biased").layer2[0]
    x = torch.randn(1, 16, 8, 8)
    out = unit.conv2(functional.relu(unit.bn2(unit.conv1(functional.relu(unit.bn1(x))))))
    assert torch.equal(unit(x), out + unit.shortcut(x))
    assert (unit.conv1.stride, unit.conv2.stride) == ((1, 1), (2, 2))


def test_prerelu_applies_the_next_batchnorm_without_moving_it():
    network = _network("preact-resnet-18-w16-bn").train()
    for index in range(4):
        norm = network.margin_norm(index)
        before = norm.running_mean.clone()
        feature = network.prerelu(index, torch.randn(2, network.stage_channels[index], 4, 4))
        assert feature.shape == (2, network.stage_channels[index], 4, 4)
        assert torch.equal(norm.running_mean, before)


def test_without_a_final_norm_the_last_stage_is_compared_as_it_is():
    network, x = _network("preact-resnet-18-w16"), torch.randn(1, 128, 4, 4)
    assert network.prerelu(3, x) is x
    assert network.margin_norm(3) is network.layer4[-1].bn2
    assert torch.equal(network.head(x)[1], x.mean(dim=(2, 3)))


def test_stage_convolutions_include_the_shortcut():
    assert len(_network("preact-resnet-18", "meta").stage_convolutions(3)) == 5


@pytest.mark.parametrize("name", ["preact-resnet-19", "wrn-29-10-biased", "wrn-28-17-biased"])
def test_other_names_are_refused(name):
    with pytest.raises(RecipeError) as caught:
        build_preact_resnet(ArchitectureSpec(name, 10))
    assert caught.value.code == "architecture_unknown"
