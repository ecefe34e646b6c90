"""torchvision's networks under their own names: the same tensors, the same answers."""

from functools import partial

import pytest
import torch
from torchvision import models as torchvision_models

from models.architectures import build
from models.architectures.cost import count_macs, count_parameters
from models.architectures.empty_weights import build_empty
from models.architectures.library import constant_buffers
from models.checkpoints.infer_architecture import InferredArchitecture, infer_architecture
from models.checkpoints.layouts.library import TABLE_PATH, LibraryFamily, library_table
from models.checkpoints.library_table import build_on_meta, digests
from models.distillation.abd.shuffling_vaccine import permute_input_channels, shuffled_layers
from models.errors import CheckpointRejected, RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.library import LIBRARY, PREFIX
from models.recipes.blueprints.residual import LIBRARY_RESNETS

#: The smallest of each kind with the side of its images.
SMALL = {
    "resnet18": 64,
    "alexnet": 64,
    "convnext_tiny": 64,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "mnasnet0_5": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "shufflenet_v2_x0_5": 64,
    "regnet_x_400mf": 64,
    "regnet_y_400mf": 64,
    "squeezenet1_0": 64,
    "squeezenet1_1": 64,
    "googlenet": 64,
    "inception_v3": 96,
    "swin_t": 64,
    "swin_v2_t": 64,
    "vit_b_32": 64,
    "maxvit_t": 224,
}
OPTIONS = {
    "googlenet": {"init_weights": True},
    "inception_v3": {"init_weights": True},
    "vit_b_32": {"image_size": 64},
}


def _library(name: str, **options):
    if name in {"googlenet", "inception_v3"}:
        options = {"init_weights": True, **options}
    return build_empty(partial(torchvision_models.get_model, name, weights=None, **options))


def _alive(network: torch.nn.Module) -> torch.nn.Module:
    """Give values to what starts as zeros, such as a ViT's classifier, so that something comes out."""
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    return network.eval()


def _shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


def _infer(network: torch.nn.Module, input_size: int | None = None) -> InferredArchitecture:
    return infer_architecture(_shapes(network), declared=None, num_classes=None, input_size=input_size)


def test_every_classifier_of_torchvision_is_read():
    ours = {name.removeprefix(PREFIX) for name in (*LIBRARY, *LIBRARY_RESNETS)}
    theirs = torchvision_models.list_models(module=torchvision_models)
    assert {name for name in theirs if name not in ours} == {name for name in theirs if "vgg" in name}
    assert len(ours) + sum("vgg" in name for name in theirs) == len(theirs) >= 80


@pytest.mark.parametrize("name", LIBRARY_RESNETS)
def test_every_resnet_is_inferred_from_its_tensors(name):
    spec = _infer(_library(name.removeprefix("torchvision-"))).spec
    assert (spec.name, spec.num_classes, spec.input_size) == (name, 1000, 224)


@pytest.mark.parametrize(
    ("library", "ours"),
    [("vgg11", "vgg-11-fc4096"), ("vgg16_bn", "vgg-16-bn-fc4096"), ("vgg19", "vgg-19-fc4096")],
)
def test_vggs_are_read_with_their_input_of_224(library, ours):
    spec = _infer(_library(library, num_classes=10)).spec
    assert (spec.name, spec.num_classes, spec.input_size) == (ours, 10, 224)


@pytest.mark.parametrize("name", LIBRARY)
def test_the_shipped_table_is_the_installed_torchvision(name):
    """If this fails after an update of torchvision: ``python -m models.checkpoints.library_table``."""
    entry = library_table()[name]
    network = _library(name.removeprefix(PREFIX))
    shapes = _shapes(network)
    kept = {key: shape for key, shape in shapes.items() if key in entry.shapes}
    assert kept == entry.shapes
    assert shapes.keys() - kept.keys() == entry.constants.keys() | entry.auxiliary.keys()
    assert entry.digests == (digests(name, 224) if entry.constants else {})
    inferred = _infer(network)
    assert inferred.spec == ArchitectureSpec(name, 1000, 224)
    assert inferred.layout.macs is not None


def test_the_table_is_small_and_whole():
    assert library_table().keys() == LIBRARY.keys()
    assert TABLE_PATH.stat().st_size < 120_000


@pytest.mark.parametrize(
    "name",
    [
        "torchvision-shufflenet_v2_x0_5",
        "torchvision-squeezenet1_1",
        "torchvision-vit_b_32",
        "torchvision-swin_v2_t",
    ],
)
def test_costs_come_from_the_table(name):
    network = build_on_meta(name, num_classes=10)
    layout = LibraryFamily().lay_out(ArchitectureSpec(name, 10, 224))
    assert layout is not None
    assert layout.macs == count_macs(network, 224)
    assert layout.parameters == count_parameters(network)


def test_costs_are_as_in_the_literature():
    assert library_table()["torchvision-vit_b_16"].macs[224][0] == pytest.approx(17.56e9, rel=1e-3)
    assert library_table()["torchvision-swin_t"].macs[224][0] == pytest.approx(4.49e9, rel=1e-3)


def test_costs_that_were_not_counted_are_not_told():
    odd = LibraryFamily().lay_out(ArchitectureSpec("torchvision-mobilenet_v3_small", 10, 225))
    assert odd is not None and odd.macs is None


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name.removeprefix(PREFIX) in SMALL else pytest.mark.slow)
        for name in LIBRARY
    ],
)
def test_stages_shrink_and_are_as_wide_as_told(name):
    network = build_on_meta(name, num_classes=10)
    outputs = network.forward_stages(torch.zeros(1, 3, 224, 224, device="meta"))
    sides = [stage.shape[2] for stage in outputs.stages]
    assert len(sides) >= 2
    # The map of a ViT never shrinks: its tokens are cut into four equal stages.
    assert sides == (
        sides[:1] * 4 if "vit_b" in name or "vit_l" in name or "vit_h" in name else _falling(sides)
    )
    assert tuple(stage.shape[1] for stage in outputs.stages) == network.stage_channels
    assert outputs.logits.shape == (1, 10)
    assert outputs.pooled.ndim == 2
    assert all(network.stage_convolutions(index) for index in range(len(sides)))


def _falling(sides: list[int]) -> list[int]:
    return sorted(set(sides), reverse=True)


@pytest.mark.parametrize("name", ["torchvision-swin_t", "torchvision-vit_b_32", "torchvision-squeezenet1_1"])
def test_what_is_put_in_a_stages_place_feeds_the_next(name):
    torch.manual_seed(0)
    network = _alive(build(ArchitectureSpec(name, 3, 64)))
    images, last = torch.randn(2, 3, 64, 64), len(network.stage_channels) - 1
    with torch.inference_mode():
        plain = network.forward_stages(images)
        same = network.forward_stages(images, lambda _, stage: stage.clone())
        cleared = network.forward_stages(images, lambda i, stage: stage * (i < last))
        assert torch.equal(plain.logits, network(images))
        torch.testing.assert_close(same.logits, plain.logits, rtol=0, atol=1e-6)
        assert not cleared.stages[-1].any()
        assert torch.equal(cleared.logits[0], cleared.logits[1])
        assert not torch.equal(plain.logits[0], plain.logits[1])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize("name", ["torchvision-alexnet", "torchvision-squeezenet1_1"])
def test_a_later_stage_does_not_write_into_an_earlier_one(name):  # traps 26 and 42
    network = build(ArchitectureSpec(name, 10, 64)).eval()
    seen = []

    def remember(_, stage):
        seen.append(stage.clone())
        return stage

    stages = network.forward_stages(torch.randn(1, 3, 64, 64), remember).stages
    assert all(torch.equal(before, after) for before, after in zip(seen, stages, strict=True))


def test_a_network_inside_another_keeps_its_names_and_loads_again():
    network = build(ArchitectureSpec("torchvision-squeezenet1_1", 4, 64))
    outer = torch.nn.Sequential(network)
    assert "0.features.0.weight" in outer.state_dict()
    changed = {name: tensor + 1 for name, tensor in outer.state_dict().items()}
    outer.load_state_dict(changed, strict=True)
    assert torch.equal(network.state_dict()["features.0.weight"], changed["0.features.0.weight"])


def test_stages_behind_the_activation_have_no_margins():
    with pytest.raises(RecipeError) as caught:
        build_on_meta("torchvision-mobilenet_v3_small").margin_norm(0)
    assert caught.value.code == "stages_incompatible"


def test_a_resnets_tensors_have_the_librarys_names():
    with torch.device("meta"):
        ours = build(ArchitectureSpec("torchvision-resnet50", 1000, 224))
    assert list(ours.state_dict()) == list(_library("resnet50").state_dict())


def _assert_same_answers(library: torch.nn.Module, side: int) -> None:
    state, images = _alive(library).state_dict(), torch.randn(2, 3, side, side)
    inferred = _infer(library, side)
    ours = build(inferred.spec).eval()
    loaded = {key: state[source] for key, source in inferred.key_map.items()}
    ours.load_state_dict({**loaded, **constant_buffers(ours)}, strict=True)
    with torch.inference_mode():
        expected = library(images)
        assert expected.std() > 1e-3
        torch.testing.assert_close(ours(images), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_answers_as_the_librarys(name):
    torch.manual_seed(0)
    options = {"num_classes": 7, **OPTIONS.get(name, {})}
    _assert_same_answers(torchvision_models.get_model(name, weights=None, **options), SMALL[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name.removeprefix(PREFIX) for name in LIBRARY])
def test_every_one_answers_as_the_librarys(name):
    torch.manual_seed(0)
    options = {"num_classes": 7} | ({"init_weights": True} if name in {"googlenet", "inception_v3"} else {})
    _assert_same_answers(torchvision_models.get_model(name, weights=None, **options), 224)


@pytest.mark.parametrize(
    ("name", "dropped"), [("googlenet", ("aux1", "aux2")), ("inception_v3", ("AuxLogits",))]
)
def test_auxiliary_classifiers_may_be_there_and_are_dropped(name, dropped):
    assert _infer(_library(name)).dropped == dropped
    assert _infer(_library(name, aux_logits=False)).dropped == ()
    # Who replaces the last layer alone keeps auxiliary classifiers of 1,000 classes.
    shapes = _shapes(_library(name)) | {"fc.weight": _shapes(_library(name))["fc.weight"]}
    fewer = {key: (7, *shape[1:]) if key.startswith("fc.") else shape for key, shape in shapes.items()}
    inferred = infer_architecture(fewer, declared=None, num_classes=None, input_size=None)
    assert (inferred.spec.num_classes, inferred.dropped) == (7, dropped)
    assert any("transform_input" in warning for warning in inferred.warnings)
    wrong = {key: (1, *shape) if key.startswith(dropped) else shape for key, shape in shapes.items()}
    with pytest.raises(CheckpointRejected) as caught:
        infer_architecture(wrong, declared=None, num_classes=None, input_size=None)
    assert caught.value.code == "architecture_mismatch"


@pytest.mark.parametrize("side", [32, 64, 224, 384])
def test_the_positions_of_a_vit_tell_its_input_size(side):
    inferred = _infer(_library("vit_b_32", image_size=side))
    assert (inferred.spec.input_size, inferred.warnings) == (side, ())


@pytest.mark.parametrize("tokens", [0, 1, 3, 49, 1 + 17**2, 1 + 1000**2, 2**31])
def test_positions_of_no_square_or_an_absurd_one_are_refused(tokens):
    shapes = _shapes(_library("vit_b_32")) | {"encoder.pos_embedding": (1, tokens, 768)}
    with pytest.raises(CheckpointRejected) as caught:
        infer_architecture(shapes, declared=None, num_classes=None, input_size=None)
    assert caught.value.code in {"architecture_mismatch", "architecture_unknown"}


@pytest.mark.parametrize(
    ("name", "size"), [("maxvit_t", 256), ("inception_v3", 64), ("alexnet", 32), ("vit_b_32", 100)]
)
def test_sizes_that_a_network_does_not_take_are_refused_by_reader_and_builder(name, size):
    with pytest.raises(CheckpointRejected):
        infer_architecture(
            _shapes(_library(name)), declared=f"{PREFIX}{name}", num_classes=None, input_size=size
        )
    with pytest.raises(RecipeError) as caught:
        build(ArchitectureSpec(f"{PREFIX}{name}", 10, size))
    assert caught.value.code == "input_size_unsupported"


def test_a_network_without_convolutions_in_its_last_stage_has_linear_layers_to_shuffle():
    network = build(ArchitectureSpec("torchvision-vit_b_32", 10, 32))
    layers = shuffled_layers(network, None)
    assert len(layers) == 9  # the last three blocks: two of the perceptron, one behind the attention
    assert shuffled_layers(network, 1) == [layers[-1]]
    before = layers[0].weight.clone()
    permute_input_channels(layers[0], torch.Generator().manual_seed(0))
    assert not torch.equal(layers[0].weight, before)
    assert torch.equal(layers[0].weight.sort(dim=1).values, before.sort(dim=1).values)
