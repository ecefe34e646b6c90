"""One network of every family, written in every format, comes back without help and answers as before."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from models.architectures import StagedClassifier, build
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.load import load_teacher
from models.errors import CheckpointRejected
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import known_architectures, validate_name

#: The smallest member of each family, and whatever else is read differently.
NAMES = (
    "wrn-10-1",
    "resnet-20",
    "resnet-18-w16",
    "resnet-50-w16",
    "resnext-29-1x64d-pointwise",
    "preact-resnet-18-w16",
    "preact-resnet-18-w16-bn",
    "wrn-10-1-biased",
    "pyramidnet-110-48",
    "pyramidnet-164-24",
    "mobilenet-v2",
    "shufflenet-v2-x0.5",
    "vgg-11-w16",
    "vgg-11-bn-w16",
    "vgg-11-bn-w16-fc512",
    "plain-cnn-w16",
    "torchvision-resnet18",
    "torchvision-mobilenet_v3_small",
    "torchvision-shufflenet_v2_x0_5",
    "torchvision-squeezenet1_1",
    "torchvision-regnet_y_400mf",
    "vgg-small-elu",
)
#: Too large for every run.
LARGE = (
    "torchvision-googlenet",
    "torchvision-inception_v3",
    "torchvision-swin_t",
    "torchvision-swin_v2_t",
    "torchvision-maxvit_t",
)
FORMATS = ("torch_zip", "torch_legacy", "safetensors")


@pytest.fixture(
    scope="module", params=[*NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]
)
def written(request) -> tuple[ArchitectureSpec, StagedClassifier, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    large = request.param.startswith("torchvision-")
    spec = ArchitectureSpec(request.param, 7, 224 if large else 32)
    network = build(spec).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training: nothing is left at 0 or 1
            for values in (module.running_mean, module.bias.data):
                nn.init.normal_(values, std=0.1)
            for values in (module.running_var, module.weight.data):
                nn.init.uniform_(values, 0.5, 1.5)
    # Large images would cost seconds and show nothing more; Inception and MaxViT take no smaller ones.
    side = {"torchvision-inception_v3": 96, "torchvision-maxvit_t": 224}.get(spec.name, 64 if large else 32)
    images = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        return spec, network, images, network(images)


def write(network: StagedClassifier, path: Path, file_format: str, prefix: str) -> None:
    state = {prefix + name: tensor for name, tensor in network.state_dict().items()}
    if file_format == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=file_format == "torch_zip")


@pytest.mark.parametrize(
    ("file_format", "prefix"), [*((file_format, "") for file_format in FORMATS), ("torch_zip", "module.")]
)
def test_comes_back_inferred_and_equal(written, file_format: str, prefix: str, tmp_path: Path) -> None:
    spec, network, images, expected = written
    write(network, tmp_path / "upload", file_format, prefix)
    inspection = inspect_checkpoint(tmp_path / "upload", tmp_path / "canonical", InspectOptions())
    assert (inspection.architecture, inspection.architecture_source) == (spec, "inferred")
    assert (inspection.format, inspection.stripped_prefix) == (file_format, prefix or None)
    with torch.inference_mode():
        logits = load_teacher(tmp_path / "canonical", inspection).network(images)
    assert expected.std() > 1e-3
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-6)


def _integers_changed(tensor: torch.Tensor, how: str) -> torch.Tensor:
    if tensor.is_floating_point():
        return tensor
    changes = {
        "out_of_range": tensor + 2**40,
        "turned": tensor.flip(0),
        "fractions": tensor.float() + 1.5,
        "infinite_range": tensor.double() + 1e30,
        "narrow": tensor.int(),
        "half": tensor.half(),
        "bfloat16": tensor.bfloat16(),
    }
    return changes[how]


@pytest.fixture(scope="module")
def swin() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return build(ArchitectureSpec("torchvision-swin_t", 7, 224)).state_dict()


@pytest.mark.parametrize("how", ["out_of_range", "turned", "fractions", "infinite_range"])
def test_integers_that_index_are_those_of_the_architecture(how: str, swin, tmp_path: Path) -> None:
    """A window's relative positions: torch would load them, so that another network runs, or none."""
    state = {name: _integers_changed(tensor, how) for name, tensor in swin.items()}
    torch.save(state, tmp_path / "upload")
    with pytest.raises(CheckpointRejected) as caught:
        inspect_checkpoint(tmp_path / "upload", tmp_path / "canonical", InspectOptions())
    assert caught.value.code == "architecture_mismatch"
    assert "12 tensors of integers" in caught.value.detail
    assert "features.1.0.attn.relative_position_index" in caught.value.detail
    assert not (tmp_path / "canonical").exists()


def test_one_of_them_is_enough(swin, tmp_path: Path) -> None:
    name = "features.5.3.attn.relative_position_index"
    torch.save({**swin, name: swin[name].roll(1)}, tmp_path / "upload")
    with pytest.raises(CheckpointRejected, match=r"1 tensors of integers .* features\.5\.3\.attn"):
        inspect_checkpoint(tmp_path / "upload", tmp_path / "canonical", InspectOptions())


@pytest.mark.parametrize("how", ["narrow", "half", "bfloat16", "absent"])
def test_the_same_integers_in_another_type_or_none_are_read(how: str, swin, tmp_path: Path) -> None:
    """They are the architecture's in any case; torch makes integers of them when it loads them."""
    kept = {name: tensor for name, tensor in swin.items() if how != "absent" or tensor.is_floating_point()}
    changed = kept if how == "absent" else {name: _integers_changed(one, how) for name, one in kept.items()}
    torch.save(changed, tmp_path / "upload")
    inspection = inspect_checkpoint(tmp_path / "upload", tmp_path / "canonical", InspectOptions())
    loaded = load_teacher(tmp_path / "canonical", inspection).network.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in swin.items())


def test_every_family_is_among_them() -> None:
    inferred = {family.name for family in known_architectures() if family.name != "timm"}
    assert {validate_name(name).name for name in NAMES} == inferred


def test_there_are_more_than_forty_checkpoints() -> None:
    assert len(NAMES) * len(FORMATS) * 2 > 40
