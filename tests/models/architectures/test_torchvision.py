"""torchvision's networks under their own names: the same tensors, the same answers."""

import pytest
import torch
from torchvision import models as torchvision_models

from models.architectures import build
from models.architectures.cost import count_macs, count_parameters
from models.checkpoints.infer_architecture import InferredArchitecture, infer_architecture
from models.checkpoints.layouts.library import TABLE_PATH, LibraryFamily, library_table
from models.checkpoints.library_table import build_on_meta
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.library import LIBRARY, PREFIX
from models.recipes.blueprints.residual import LIBRARY_RESNETS


def _library(name: str, **options):
    with torch.device("meta"):
        return torchvision_models.get_model(name, weights=None, **options)


def _infer(network: torch.nn.Module, input_size: int | None = None) -> InferredArchitecture:
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    return infer_architecture(shapes, declared=None, num_classes=None, input_size=input_size)


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
    network = _library(name.removeprefix(PREFIX))
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    assert library_table()[name].shapes == shapes
    spec = _infer(network).spec
    assert (spec.name, spec.num_classes, spec.input_size) == (name, 1000, 224)


def test_the_table_is_small_and_whole():
    assert library_table().keys() == LIBRARY.keys()
    assert TABLE_PATH.stat().st_size < 100_000


@pytest.mark.parametrize("name", ["torchvision-shufflenet_v2_x0_5", "torchvision-mobilenet_v3_small"])
def test_costs_come_from_the_table(name):
    network = build_on_meta(name)
    layout = LibraryFamily().lay_out(ArchitectureSpec(name, 1000, 224))
    assert layout is not None
    assert layout.macs == count_macs(network, 224)
    assert layout.parameters == count_parameters(network)
    odd = LibraryFamily().lay_out(ArchitectureSpec(name, 10, 225))
    assert odd is not None and odd.macs is None


@pytest.mark.parametrize("name", LIBRARY)
def test_stages_shrink_and_are_as_wide_as_told(name):
    network = build_on_meta(name).eval()
    outputs = network.forward_stages(torch.zeros(1, 3, 224, 224, device="meta"))
    sides = [stage.shape[2] for stage in outputs.stages]
    assert len(sides) >= 2
    assert sides == sorted(set(sides), reverse=True)
    assert tuple(stage.shape[1] for stage in outputs.stages) == network.stage_channels
    assert outputs.pooled.ndim == 2
    assert all(network.stage_convolutions(index) for index in range(len(sides)))


def test_a_later_stage_does_not_write_into_an_earlier_one():  # traps 26 and 42
    network = build(ArchitectureSpec("torchvision-shufflenet_v2_x0_5", 10, 64)).eval()
    x = network.stem(torch.randn(1, 3, 64, 64))
    before = x.clone()
    network.stage(0, x)
    assert torch.equal(x, before)


def test_stages_behind_the_activation_have_no_margins():
    with pytest.raises(RecipeError) as caught:
        build_on_meta("torchvision-mobilenet_v3_small").margin_norm(0)
    assert caught.value.code == "stages_incompatible"


def test_a_resnets_tensors_have_the_librarys_names():
    with torch.device("meta"):
        ours = build(ArchitectureSpec("torchvision-resnet50", 1000, 224))
    assert list(ours.state_dict()) == list(_library("resnet50").state_dict())


def _assert_same_answers(library: torch.nn.Module, side: int) -> None:
    state, images = library.state_dict(), torch.randn(2, 3, side, side)
    inferred = _infer(library, side)
    ours = build(inferred.spec).eval()
    ours.load_state_dict({key: state[source] for key, source in inferred.key_map.items()}, strict=True)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), library(images), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "convnext_tiny",
        "densenet121",
        "efficientnet_b0",
        "mnasnet0_5",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
    ],
)
def test_answers_as_the_librarys(name):
    torch.manual_seed(0)
    _assert_same_answers(torchvision_models.get_model(name, weights=None, num_classes=7).eval(), 64)
