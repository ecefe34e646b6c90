"""Architectures told from names and shapes; the torch-free tables equal the real networks."""

from __future__ import annotations

import pytest
import torch

from models.architectures import build
from models.architectures.cost import count_macs, count_parameters
from models.checkpoints.codes import CODES
from models.checkpoints.infer_architecture import FAMILIES, InferredArchitecture, infer_architecture
from models.checkpoints.layouts.layout import COUNTER, Layout
from models.errors import CheckpointRejected
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import known_architectures

CONFIGURATIONS = [
    ("wrn-10-1", 10, 16),
    ("wrn-10-2", 10, 33),
    ("wrn-16-1", 43, 32),
    ("wrn-16-2", 10, 32),
    ("wrn-28-4", 100, 64),
    ("wrn-40-2", 10, 32),
    ("resnet-20", 10, 32),
    ("resnet-32", 43, 17),
    ("resnet-56", 10, 32),
    ("resnet-110", 2, 32),
    ("resnet-18", 10, 32),
    ("resnet-34-w32", 10, 17),
    ("resnet-50", 100, 64),
    ("resnext-29-8x64d", 10, 32),
    ("resnext-29-32x4d-pointwise", 10, 33),
    ("preact-resnet-18", 10, 32),
    ("preact-resnet-34-w16-bn", 43, 33),
    ("wrn-16-2-biased", 10, 33),
    ("pyramidnet-110-84", 10, 33),
    ("pyramidnet-164-270", 100, 32),
    ("mobilenet-v2", 10, 33),
    ("shufflenet-v2-x0.5", 10, 32),
    ("shufflenet-v2-x2", 43, 33),
    ("vgg-11", 10, 32),
    ("vgg-13-bn-w32", 10, 64),
    ("vgg-16-bn", 43, 32),
    ("vgg-19-fc512", 10, 32),
    ("vgg-11-bn-w16-fc4096", 10, 96),
    ("plain-cnn-w32", 10, 33),
    ("vgg-small-elu", 10, 32),
    ("vgg-small-elu", 43, 64),
    ("vgg-small-elu", 10, 8),
]


def lay_out(name: str, num_classes: int = 10, input_size: int = 32) -> Layout:
    spec = ArchitectureSpec(name, num_classes, input_size)
    return next(layout for family in FAMILIES if (layout := family.lay_out(spec)) is not None)


def infer(shapes: dict, **declared) -> InferredArchitecture:
    options = {"declared": None, "num_classes": None, "input_size": None}
    return infer_architecture(shapes, **(options | declared))


def refusal(shapes: dict, **declared) -> CheckpointRejected:
    with pytest.raises(CheckpointRejected) as caught:
        infer(shapes, **declared)
    assert caught.value.code in CODES
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(("name", "num_classes", "input_size"), CONFIGURATIONS)
def test_tables_equal_the_networks(name: str, num_classes: int, input_size: int) -> None:
    layout = lay_out(name, num_classes, input_size)
    with torch.device("meta"):
        network = build(layout.spec)
    real = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    assert sorted(layout.shapes.items()) == sorted(real.items())
    assert layout.parameters == count_parameters(network)
    assert layout.buffers == sum(buffer.numel() for buffer in network.buffers())
    assert layout.macs == count_macs(network, input_size)


@pytest.mark.parametrize(
    "name", [name for family in known_architectures() if family.name != "timm" for name in family.examples]
)
def test_every_example_of_the_catalog_has_a_table(name: str) -> None:
    assert lay_out(name, input_size=224).shapes


@pytest.mark.parametrize(("name", "num_classes", "input_size"), CONFIGURATIONS)
def test_infers_each_network_from_its_table(name: str, num_classes: int, input_size: int) -> None:
    shapes = lay_out(name, num_classes, input_size).shapes
    inferred = infer(shapes, input_size=input_size)
    assert inferred.spec == ArchitectureSpec(name, num_classes, input_size)
    assert inferred.source == "inferred"
    assert inferred.key_map == {key: key for key in shapes}


@pytest.mark.parametrize(
    ("name", "canonical", "alias"), [("resnet-20", "linear", "fc"), ("wrn-16-2", "fc", "linear")]
)
def test_reads_the_other_name_of_the_classifier(name: str, canonical: str, alias: str) -> None:
    shapes = {key.replace(f"{canonical}.", f"{alias}."): shape for key, shape in lay_out(name).shapes.items()}
    assert infer(shapes).key_map[f"{canonical}.weight"] == f"{alias}.weight"


def test_step_counters_may_be_absent_and_are_reported() -> None:
    shapes = {
        name: shape for name, shape in lay_out("resnet-20").shapes.items() if not name.endswith(COUNTER)
    }
    inferred = infer(shapes, input_size=32)
    assert inferred.key_map[f"bn1.{COUNTER}"] is None
    assert "19 BatchNorm step counters" in inferred.warnings[0]


def test_an_input_size_that_shapes_do_not_tell_is_assumed_aloud() -> None:
    inferred = infer(lay_out("wrn-16-2").shapes)
    assert inferred.spec.input_size == 32
    assert "Declare input_size" in inferred.warnings[0]


def test_an_input_size_that_shapes_tell_needs_no_warning() -> None:
    inferred = infer(lay_out("vgg-small-elu", input_size=64).shapes)
    assert (inferred.spec.input_size, inferred.warnings) == (64, ())


@pytest.mark.parametrize(
    "shapes",
    [
        {"encoder.weight": (768, 768)},
        {"conv1.weight": (64, 3, 7, 7), "layer1.0.conv1.weight": (64, 64, 3, 3)},
        {**lay_out("resnet-20").shapes, "layer4.0.conv1.weight": (128, 64, 3, 3)},
        {"block1.layer.0.conv1.weight": (), "block1.layer.0.conv2.weight": (7,)},
        {f"layer1.{unit}.conv1.weight": (16, 16, 3, 3) for unit in range(4)}
        | {"conv1.weight": (16, 3, 3, 3)},
    ],
    ids=["transformer", "imagenet", "four_stages", "odd_width", "unlisted_depth"],
)
def test_unknown_architectures_are_told_what_is_read(shapes: dict) -> None:
    error = refusal(shapes)
    assert error.code == "architecture_unknown"
    assert "wrn-D-K" in error.hint


def test_two_networks_in_one_file_are_ambiguous() -> None:
    error = refusal({**lay_out("vgg-small-elu").shapes, **lay_out("wrn-16-2").shapes})
    assert error.code == "architecture_ambiguous"
    assert "wrn-16-2" in error.detail
    assert "vgg-small-elu" in error.detail


def test_a_declared_architecture_is_checked_against_the_weights() -> None:
    error = refusal(lay_out("wrn-16-2").shapes, declared="wrn-16-1")
    assert error.code == "architecture_mismatch"
    assert "block1.layer.0.conv1.weight is [32, 16, 3, 3] instead of [16, 16, 3, 3]" in error.detail


def test_a_wrong_declaration_is_answered_with_what_the_weights_look_like() -> None:
    error = refusal(lay_out("resnet-20").shapes, declared="wrn-16-2")
    assert error.code == "architecture_mismatch"
    assert "look like resnet-20" in error.detail
    assert error.hint is not None and "leave the architecture out" in error.hint


def test_at_most_twenty_differences_are_listed() -> None:
    shapes = {f"encoder.{index}.weight": (8, 8) for index in range(30)}
    error = refusal(shapes, declared="wrn-16-2")
    assert error.code == "architecture_mismatch"
    assert "conv1.weight [16, 3, 3, 3] is missing" in error.detail
    assert error.detail.count(";") == 20
    assert "more" in error.detail


def test_a_network_without_its_classifier_is_told_so() -> None:
    shapes = {name: shape for name, shape in lay_out("wrn-16-2").shapes.items() if not name.startswith("fc.")}
    error = refusal(shapes)
    assert "the classifier, is missing" in error.detail
    assert "whole network" in (error.hint or "")


def test_a_number_of_classes_out_of_bounds_has_a_hint_of_its_own() -> None:
    """It said to leave the architecture out, which had not been declared."""
    error = refusal({**lay_out("wrn-16-2").shapes, "fc.weight": (1001, 128), "fc.bias": (1001,)})
    assert "1,001 outputs" in error.detail
    assert "another number of classes" in (error.hint or "")


def test_missing_and_unexpected_tensors_are_named() -> None:
    shapes = {name: shape for name, shape in lay_out("wrn-16-2").shapes.items() if name != "bn1.bias"}
    error = refusal({**shapes, "extra.weight": (3,)})
    assert error.code == "architecture_mismatch"
    assert "bn1.bias [128] is missing" in error.detail
    assert "extra.weight [3] is unexpected" in error.detail
    assert error.hint is not None and "was inferred" in error.hint
    assert "Leave the architecture out" in (refusal(shapes, declared="wrn-16-2").hint or "")


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("wrn-16-2", {"num_classes": 43}),
        ("vgg-small-elu", {"input_size": 64}),
        ("wrn-16-2", {"input_size": 7}),
        ("wrn-16-2", {"input_size": 1000}),
    ],
)
def test_contradicted_declarations_are_refused(name: str, declared: dict) -> None:
    assert refusal(lay_out(name).shapes, **declared).code == "architecture_mismatch"


@pytest.mark.parametrize(
    ("name", "declared", "hint"),
    [
        ("wrn-16-2", {"num_classes": 5}, "Leave the number of classes out, or declare 10."),
        ("vgg-small-elu", {"input_size": 64}, "Leave the input size out, or declare 32."),
    ],
)
def test_a_wrong_number_is_what_is_to_be_left_out(name: str, declared: dict, hint: str) -> None:
    """The hint was to leave the architecture out, which nobody had declared."""
    assert refusal(lay_out(name).shapes, **declared).hint == hint


def test_a_classifier_with_one_output_is_refused() -> None:
    shapes = {**lay_out("wrn-16-2").shapes, "fc.weight": (1, 128), "fc.bias": (1,)}
    assert refusal(shapes).code == "architecture_mismatch"


@pytest.mark.parametrize("name", ["wrn-17-2", "wrn-16-99", "resnet-19", "vit", "wrn-999999999-1", ""])
def test_unknown_names_are_refused_with_the_known_ones(name: str) -> None:
    error = refusal(lay_out("wrn-16-2").shapes, declared=name)
    assert error.code == "architecture_unknown"
    assert "resnet-20" in error.hint.replace("resnet-20, 32", "resnet-20")
