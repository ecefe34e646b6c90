import pytest
import torch
from torch.nn import functional

from models.architectures.resnet_cifar import build_resnet_cifar
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = build_resnet_cifar(ArchitectureSpec("resnet-20", 10))
    network.train()
    network(torch.randn(8, 3, 16, 16))  # moves BatchNorm statistics off their start
    return network.eval()


def _plain_forward(network, x):
    """Compute the network the way the paper draws it: every unit ends with its ReLU."""
    x = functional.relu(network.bn1(network.conv1(x)))
    for layer in network.layers:
        for unit in layer:
            out = functional.relu(unit.bn1(unit.conv1(x)))
            out = unit.bn2(unit.conv2(out))
            if out.shape != x.shape:
                shortcut = torch.zeros_like(out)
                quarter = out.shape[1] // 4
                shortcut[:, quarter:-quarter] = x[:, :, ::2, ::2]
                x = shortcut
            x = functional.relu(out + x)
    return network.linear(x.mean(dim=(2, 3)))


@pytest.mark.parametrize("side", [16, 32, 17])
def test_units_that_begin_with_the_previous_relu_compute_the_papers_network(network, side):
    x = torch.randn(3, 3, side, side)
    assert torch.allclose(network(x), _plain_forward(network, x), atol=1e-5)


def test_stages_end_before_their_relu(network):
    outputs = network.forward_stages(torch.randn(2, 3, 32, 32))
    assert [tuple(stage.shape[1:]) for stage in outputs.stages] == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert all(stage.min() < 0 for stage in outputs.stages)
    assert outputs.pooled.min() >= 0


@pytest.mark.parametrize(("depth", "units"), [(20, 3), (32, 5), (44, 7), (56, 9), (110, 18)])
def test_depth_is_six_times_the_units_and_two(depth, units):
    network = build_resnet_cifar(ArchitectureSpec(f"resnet-{depth}", 7))
    assert len(network.layer1) == units
    assert network.linear.out_features == 7


def test_names_are_those_of_the_public_checkpoints(network):
    names = set(network.state_dict())
    assert {
        "conv1.weight",
        "bn1.weight",
        "layer1.0.conv1.weight",
        "layer3.2.bn2.running_var",
        "linear.bias",
    } <= names
    assert not any("shortcut" in name for name in names)


def test_stage_convolutions_leave_out_the_stem(network):
    convolutions = [convolution for index in range(3) for convolution in network.stage_convolutions(index)]
    assert len(convolutions) == 18
    assert all(convolution.in_channels > 3 for convolution in convolutions)


def test_margins_come_from_the_last_norm_before_the_sum(network):
    assert network.margin_norm(1) is network.layer2[-1].bn2


@pytest.mark.parametrize("name", ["resnet-18", "resnet-x", "resnet-"])
def test_other_depths_are_refused(name):
    with pytest.raises(RecipeError) as caught:
        build_resnet_cifar(ArchitectureSpec(name, 10))
    assert caught.value.code == "architecture_unknown"
