import pytest
import torch
from torch import nn

from models.architectures.vgg import build_vgg
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_vgg(ArchitectureSpec("vgg-small-elu", 10)).eval()


def test_stages_cut_the_sequence_without_losing_or_repeating_a_module(network):
    x = torch.randn(2, 3, 32, 32)
    assert torch.allclose(network(x), network.classifier(network.features(x).flatten(1)), atol=1e-6)


def test_stages_end_at_a_norm_before_the_elu(network):
    outputs = network.forward_stages(100 * torch.randn(4, 3, 32, 32))
    assert [tuple(stage.shape[1:]) for stage in outputs.stages] == [(32, 32, 32), (64, 16, 16), (128, 8, 8)]
    assert outputs.stages[2].min() < -1  # ELU is bounded by -1 from below
    assert outputs.pooled.shape == (4, 2048)


def test_module_numbers_are_those_of_the_public_checkpoints(network):
    kinds = {
        0: nn.Conv2d,
        1: nn.BatchNorm2d,
        2: nn.ELU,
        6: nn.MaxPool2d,
        7: nn.Dropout,
        8: nn.Conv2d,
        20: nn.BatchNorm2d,
    }
    assert all(isinstance(network.features[number], kind) for number, kind in kinds.items())
    assert [network.features[number].p for number in (7, 15, 23)] == [0.3, 0.4, 0.4]


@pytest.mark.parametrize(("side", "features"), [(16, 512), (32, 2048), (64, 8192)])
def test_the_linear_layer_grows_with_the_input(side, features):
    network = build_vgg(ArchitectureSpec("vgg-small-elu", 43, side))
    assert network.classifier.in_features == features
    assert network(torch.randn(2, 3, side, side)).shape == (2, 43)


def test_stage_convolutions_leave_out_the_stem(network):
    assert [len(network.stage_convolutions(index)) for index in range(3)] == [1, 2, 2]
    assert network.stage_convolutions(0)[0] is network.features[3]


def test_margins_come_from_the_norm_that_ends_the_stage(network):
    assert network.margin_norm(2) is network.features[20]


def test_a_side_that_three_poolings_do_not_divide_is_refused():
    with pytest.raises(RecipeError) as caught:
        build_vgg(ArchitectureSpec("vgg-small-elu", 10, 28))
    assert caught.value.code == "input_size_unsupported"


def test_another_vgg_is_refused():
    with pytest.raises(RecipeError) as caught:
        build_vgg(ArchitectureSpec("vgg-16", 10))
    assert caught.value.code == "architecture_unknown"
