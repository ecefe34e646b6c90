import pytest
import torch
from torch import nn

from models.architectures import build
from models.architectures.cost import count_parameters
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec


def _network(name: str, device: str = "cpu", size: int = 32):
    torch.manual_seed(0)
    with torch.device(device):
        return build(ArchitectureSpec(name, 10, size)).eval()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # As kuangliu's and chengyangfu's repositories count them.
        ("vgg-11-bn", 9_231_114),
        ("vgg-13-bn", 9_416_010),
        ("vgg-16-bn", 14_728_266),
        ("vgg-19-bn", 20_040_522),
        ("vgg-16-fc512", 15_245_130),
        ("vgg-16-bn-fc512", 15_253_578),
    ],
)
def test_parameters_are_those_of_the_public_networks(name, parameters):
    assert count_parameters(_network(name, "meta")) == parameters


@pytest.mark.parametrize("name", ["vgg-11-w16", "vgg-16-bn-w16", "vgg-11-w16-fc512", "plain-cnn-w16"])
def test_stages_together_compute_features_then_classifier(name):
    network, x = _network(name), torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(network(x), network.classifier(network.features(x).flatten(1)))


def test_stages_end_before_their_relu():
    network = _network("vgg-16-bn-w16")
    outputs = network.forward_stages(torch.randn(2, 3, 32, 32))
    assert [stage.shape[2] for stage in outputs.stages] == [32, 16, 8, 4, 2]
    assert tuple(stage.shape[1] for stage in outputs.stages) == network.stage_channels
    assert all(stage.min() < 0 for stage in outputs.stages)


def test_stage_convolutions_leave_out_the_stem():
    assert [len(_network("vgg-16", "meta").stage_convolutions(index)) for index in range(5)] == [
        1,
        2,
        3,
        3,
        3,
    ]
    assert _network("vgg-11", "meta").stage_convolutions(0) == []


def test_margins_come_from_the_norm_that_ends_the_stage():
    network = _network("vgg-11-bn", "meta")
    norms = [module for module in network.features if isinstance(module, nn.BatchNorm2d)]
    assert network.margin_norm(0) is norms[0]
    assert network.margin_norm(4) is norms[-1]


def test_a_network_without_batchnorm_has_no_margins():
    with pytest.raises(RecipeError) as caught:
        _network("vgg-11-w16").margin_norm(0)
    assert caught.value.code == "stages_incompatible"
    assert "vanilla" in caught.value.hint


def test_the_plain_cnn_takes_any_size_and_vgg_multiples_of_32():
    assert _network("plain-cnn-w16")(torch.randn(1, 3, 19, 19)).shape == (1, 10)
    assert _network("vgg-11", "meta", size=64).classifier.in_features == 4 * 512
    with pytest.raises(RecipeError) as caught:
        _network("vgg-11", "meta", size=48)
    assert caught.value.code == "input_size_unsupported"
