"""torchvision's networks under their own names: the same tensors, the same answers."""

import pytest
import torch
from torchvision import models as torchvision_models

from models.architectures import build
from models.checkpoints.infer_architecture import InferredArchitecture, infer_architecture
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


def _assert_same_answers(library: torch.nn.Module, side: int) -> None:
    state, images = library.state_dict(), torch.randn(2, 3, side, side)
    inferred = _infer(library, side)
    ours = build(inferred.spec).eval()
    ours.load_state_dict({key: state[source] for key, source in inferred.key_map.items()}, strict=True)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), library(images), rtol=0, atol=1e-6)


def test_a_resnet_answers_as_the_librarys():
    torch.manual_seed(0)
    _assert_same_answers(torchvision_models.resnet18(num_classes=7).eval(), 64)
