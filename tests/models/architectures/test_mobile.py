import pytest
import torch

from models.architectures import build
from models.architectures.cost import count_parameters
from models.architectures.shufflenet_v2 import interleave
from models.recipes.architecture import ArchitectureSpec


def _network(name: str, device: str = "cpu"):
    torch.manual_seed(0)
    with torch.device(device):
        return build(ArchitectureSpec(name, 10)).eval()


@pytest.mark.parametrize(
    ("name", "parameters"),
    # As kuangliu's repository counts them, for ten classes.
    [("mobilenet-v2", 2_296_922), ("shufflenet-v2-x0.5", 352_042), ("shufflenet-v2-x1", 1_263_854)],
)
def test_parameters_are_those_of_the_public_networks(name, parameters):
    assert count_parameters(_network(name, "meta")) == parameters


@pytest.mark.parametrize(
    ("name", "sides"), [("mobilenet-v2", (32, 16, 8, 4)), ("shufflenet-v2-x0.5", (16, 8, 4))]
)
def test_a_stage_is_one_size_of_the_map(name, sides):
    network = _network(name, "meta")
    outputs = network.forward_stages(torch.zeros(1, 3, 32, 32, device="meta"))
    assert tuple(stage.shape[2] for stage in outputs.stages) == sides
    assert tuple(stage.shape[1] for stage in outputs.stages) == network.stage_channels
    assert outputs.pooled.shape == (1, network.linear.in_features)


def test_stages_of_mobilenet_hold_all_units():
    network = _network("mobilenet-v2", "meta")
    convolutions = [one for index in range(4) for one in network.stage_convolutions(index)]
    # 17 units of three; four widen without striding and have a fourth for the shortcut.
    assert len(convolutions) == 17 * 3 + 4
    assert network.margin_norm(3) is network.layers[16].bn3


def test_a_mobilenet_unit_that_strides_has_no_shortcut():
    network = _network("mobilenet-v2")
    strided, even = network.layers[3], network.layers[4]
    assert not strided.adds_input
    assert even.adds_input
    x = torch.randn(1, 32, 4, 4)
    with torch.no_grad():
        even.bn3.weight.zero_()  # what is left is the input
        assert torch.equal(even(x), x)


def test_interleaving_takes_the_halves_in_turn():
    assert interleave(torch.arange(6.0).view(1, 6, 1, 1)).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_half_of_the_channels_passes_a_shufflenet_unit():
    unit, x = _network("shufflenet-v2-x0.5").layer1[1], torch.randn(1, 48, 4, 4)
    assert torch.equal(unit(x)[:, ::2], x[:, :24])


def test_a_shufflenets_stages_end_behind_their_relu():
    network = _network("shufflenet-v2-x0.5").eval()
    stages = network.forward_stages(torch.randn(2, 3, 32, 32)).stages
    assert all(stage.min() >= 0.0 for stage in stages)
    assert network.margin_norm(2) is None
    assert len(network.stage_convolutions(2)) == 5 + 3 * 3
