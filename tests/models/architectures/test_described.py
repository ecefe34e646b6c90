"""What a layer list becomes: shapes as torch has them, stages that every method can use."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch
from torch import nn

from app.schemas.layers import LAYER_LIST
from models.architectures.described import DescribedNetwork
from models.errors import CheckpointRejected, RecipeError
from models.recipes.layer_list.resolve import resolve
from tests.described_networks import NETWORKS
from tests.layer_lists import FLATTEN, GLOBAL, RELU, STAGE, Json, conv, kind, linear, listed, norm


def build(document: Json) -> DescribedNetwork:
    torch.manual_seed(0)
    return DescribedNetwork(LAYER_LIST.validate_python(document)).eval()


def convolutions(network: DescribedNetwork, index: int) -> list[int]:
    return [module.out_channels for module in network.stage_convolutions(index)]


def drawn_pair(draw: random.Random, high: int, low: int = 1) -> Any:
    one, two = draw.randint(low, high), draw.randint(low, high)
    return draw.choice([one, [one, two]])


def drawn_layer(draw: random.Random, number: int) -> Json:
    """A convolution or pooling that often does not fit."""
    kernel = drawn_pair(draw, 5)
    if draw.random() < 0.5:
        padding = draw.choice(["same", drawn_pair(draw, 3, 0)])
        stride = 1 if padding == "same" and draw.random() < 0.8 else drawn_pair(draw, 3)
        return conv(
            f"c{number}", draw.choice([4, 6, 8]), kernel, stride=stride, padding=padding,
            dilation=drawn_pair(draw, 3), groups=draw.choice([1, 1, 1, 2, 4]), bias=draw.random() < 0.5,
        )  # fmt: skip
    if draw.random() < 0.2:
        return {"type": draw.choice(["adaptive_avg_pool", "adaptive_max_pool"]), "size": drawn_pair(draw, 9)}
    return {
        "type": draw.choice(["max_pool", "avg_pool"]), "kernel": kernel, "padding": drawn_pair(draw, 2, 0),
        "stride": drawn_pair(draw, 4), "ceil_mode": draw.random() < 0.5,
    }  # fmt: skip


def in_torch(layer: Json, channels: int) -> nn.Module:
    numbers = {name: tuple(value) if isinstance(value, list) else value for name, value in layer.items()}
    word = numbers.pop("type")
    if word == "conv":
        out, kernel = numbers.pop("out"), numbers.pop("kernel")
        del numbers["name"]
        return nn.Conv2d(channels, out, kernel, **numbers)
    if word.startswith("adaptive"):
        pool = {"adaptive_avg_pool": nn.AdaptiveAvgPool2d, "adaptive_max_pool": nn.AdaptiveMaxPool2d}[word]
        return pool(numbers["size"])
    return {"max_pool": nn.MaxPool2d, "avg_pool": nn.AvgPool2d}[word](
        kernel_size=numbers.pop("kernel"), **numbers
    )


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_shapes_are_torchs_and_what_torch_refuses_is_refused() -> None:
    """1,500 drawn layers, one by one behind a map of drawn size; torch is asked on its meta device."""
    draw = random.Random(0)
    fitted = refused = 0
    for number in range(1_500):
        side = draw.randint(8, 20)
        layer = drawn_layer(draw, number)
        described = LAYER_LIST.validate_python(
            listed(side, conv("first", 8, padding=1), layer, *GLOBAL, linear("fc", 3))
        )
        try:
            with torch.device("meta"):
                expected = in_torch(layer, 8)(torch.zeros(1, 8, side, side)).shape[1:]
        except (RuntimeError, ValueError):
            with pytest.raises(CheckpointRejected) as caught:
                resolve(described)
            assert caught.value.code == "layers_shape_mismatch"
            refused += 1
        else:
            assert resolve(described).takes["layers.2"] == tuple(expected), layer
            fitted += 1
    assert fitted > 500
    assert refused > 100


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_gets_the_shape_that_was_foreseen(name: str) -> None:
    network = build(NETWORKS[name][1])
    resolved = resolve(network.described)
    seen: dict[str, tuple[int, ...]] = {}
    for place in resolved.takes:
        network.get_submodule(place).register_forward_hook(
            lambda _, given, __, place=place: seen.__setitem__(place, tuple(given[0].shape[1:]))
        )
    network(torch.zeros(2, 3, network.described.input_size, network.described.input_size))
    assert seen == resolved.takes
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == {
        key: tensor.shape for key, tensor in resolved.tensors.items()
    }
    assert resolved.parameters == sum(math.prod(parameter.shape) for parameter in network.parameters())


def test_without_marks_stages_end_where_the_size_changes() -> None:
    network = build(NETWORKS["lenet"][1])
    assert network.stage_channels == (16,)
    assert convolutions(network, 0) == [16]
    assert network.cut.stem == 1
    assert build(NETWORKS["squeeze"][1]).stage_channels == (8, 16)


def test_the_only_convolution_is_in_stage_0() -> None:
    network = build(listed(16, conv("c", 4), *GLOBAL, linear("fc", 3)))
    assert (network.cut.stem, convolutions(network, 0)) == (0, [4])


@pytest.mark.parametrize("behind", [GLOBAL, [RELU, *GLOBAL], [kind("dropout"), *GLOBAL]])
def test_a_convolution_that_gives_the_logits_is_the_head(behind: list[Json]) -> None:
    """As in SqueezeNet: were it the last stage's, the features of the last layer would be the logits."""
    layers = conv("a", 4, padding=1), RELU, conv("b", 6, padding=1), RELU, conv("c", 3, 1), *behind
    network = build(listed(16, *layers))
    assert network.stage_channels == (6,)
    assert convolutions(network, 0) == [6]
    x = torch.randn(2, 3, 16, 16)
    outputs = network.forward_stages(x)
    assert torch.equal(outputs.logits, network.layers(x))
    torch.testing.assert_close(outputs.pooled, network.layers[:4](x).mean(dim=(2, 3)))


def test_what_has_no_weights_behind_the_last_layer_is_not_the_last_layer() -> None:
    network = build(listed(16, conv("a", 4), *GLOBAL, linear("fc", 3), kind("dropout")))
    outputs = network.forward_stages(torch.randn(2, 3, 16, 16))
    assert outputs.pooled.shape == (2, 4)
    torch.testing.assert_close(network.layers[3](outputs.pooled), outputs.logits)


def test_dropout_is_nothing_in_training_either() -> None:
    network = build(listed(16, conv("a", 8), kind("dropout"), *GLOBAL, kind("dropout"), linear("fc", 3)))
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(network.train()(x), network.eval()(x))


def test_marked_stages_are_those_and_their_maps_lie_before_the_activation() -> None:
    network = build(NETWORKS["residual"][1])
    assert network.stage_channels == (8, 16, 32)
    assert convolutions(network, 2) == [32, 32, 32]
    outputs = network.forward_stages(torch.randn(2, 3, 16, 16))
    assert [tuple(stage.shape[1:]) for stage in outputs.stages] == [(8, 16, 16), (16, 8, 8), (32, 4, 4)]
    assert all(stage.min() < 0 for stage in outputs.stages)
    assert network.margin_norm(1) is network.get_submodule("layers.6.body.4")
    assert network.prerelu(1, outputs.stages[1]) is outputs.stages[1]


def test_margins_behind_a_stage_are_applied_to_it() -> None:
    network = build(NETWORKS["preactivated"][1])
    norm_behind = network.margin_norm(0)
    assert norm_behind is network.get_submodule("layers.5")
    nn.init.constant_(norm_behind.bias, 3.0)
    stage = network.forward_stages(torch.randn(2, 3, 16, 16)).stages[0]
    torch.testing.assert_close(network.prerelu(0, stage), norm_behind(stage))


def test_a_batchnorm_inside_the_block_behind_counts_as_well() -> None:
    inner = {"type": "residual", "body": [norm("n"), RELU, conv("b", 4, padding=1)]}
    network = build(listed(16, conv("a", 4), STAGE, kind("dropout"), inner, *GLOBAL, linear("fc", 3)))
    assert network.margin_norm(0) is network.get_submodule("layers.3.body.0")


@pytest.mark.parametrize(
    ("behind", "rectified"),
    [
        ([RELU], True),
        ([kind("dropout"), kind("relu6")], True),
        ([kind("silu")], False),
        ([conv("b", 4)], False),
        ([{"type": "residual", "body": [norm("m"), RELU, conv("b", 4, padding=1)]}], True),
        ([{"type": "residual", "body": [norm("m"), conv("b", 4, padding=1)]}], False),
    ],
)
def test_a_stage_is_rectified_where_a_relu_comes_next(behind: list[Json], rectified: bool) -> None:
    network = build(listed(16, conv("a", 4), norm("n"), STAGE, *behind, *GLOBAL, linear("fc", 3)))
    assert network.is_rectified(0) is rectified


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (NETWORKS["lenet"][1], "marks no stage"),
        (listed(16, conv("a", 4), STAGE, RELU, *GLOBAL, linear("fc", 3)), "layers[1] has none right before"),
        (
            listed(16, conv("a", 4), RELU, norm("n"), RELU, STAGE, FLATTEN, linear("f", 3)),
            "layers[4] has none",
        ),
    ],
)
def test_stages_without_margins_are_refused_in_a_sentence(document: Json, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        build(document).margin_norm(0)
    assert caught.value.code == "stages_incompatible"
    assert words in caught.value.detail


def test_an_edit_of_a_stage_feeds_the_next() -> None:
    network = build(NETWORKS["residual"][1])
    x = torch.randn(2, 3, 16, 16)
    edited = network.forward_stages(x, lambda index, stage: stage * (index != 1))
    assert not edited.stages[1].any()
    assert not torch.allclose(edited.logits, network(x))
