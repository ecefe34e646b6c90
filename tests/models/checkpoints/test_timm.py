"""timm's networks by declared name: from a file to the same answers, without a network connection."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from models.architectures import build
from models.checkpoints.codes import CODES
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.isolated import inspect_isolated
from models.checkpoints.layouts.outside import OutsideFamily
from models.checkpoints.limits import Limits
from models.checkpoints.load import load_teacher
from models.checkpoints.timm_table import load_library, table_of
from models.errors import CheckpointRejected, RecipeError
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.architecture_catalog import validate_name, validate_student_name
from models.results.inspection import CheckpointInspection

timm = pytest.importorskip("timm", reason="timm is an optional extra")

#: timm's name, the input size that is declared, and what of the network depends on it.
NETWORKS = {
    "resnet18": 64,
    "mobilenetv3_small_050": 64,
    "vit_tiny_patch16_224": 64,
    "test_convnext": 160,
    "test_vit": None,
    "test_mambaout": 160,
    "deit_tiny_distilled_patch16_224": 64,
    "swin_tiny_patch4_window7_224": None,
}
LARGE = {"swin_tiny_patch4_window7_224": pytest.mark.slow}
IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def table(name: str, size: int | None = None, **limits) -> dict:
    bounds = {"tensors": Limits().tensors, "materialized_bytes": Limits().materialized_bytes}
    return table_of(f"timm-{name}", size, **{**bounds, **limits})


def random_network(name: str, size: int | None, num_classes: int = 5) -> torch.nn.Module:
    torch.manual_seed(0)
    fixed = timm.get_pretrained_cfg(name, allow_unregistered=True).fixed_input_size
    options = {"img_size": size} if size and fixed else {}
    network = timm.create_model(name, pretrained=False, num_classes=num_classes, **options)
    for parameter in network.parameters():  # also those that start as zeros
        torch.nn.init.normal_(parameter, std=0.05)
    return network.eval()


def inspect(path: Path, name: str, size: int | None = None, **declared) -> CheckpointInspection:
    options = InspectOptions(architecture=f"timm-{name}", input_size=size, **declared)
    outside = OutsideFamily(table(name, size))
    return inspect_checkpoint(path, path.with_name("canonical"), options, outside=outside)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_, **__):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("name", [pytest.param(name, marks=LARGE.get(name, ())) for name in NETWORKS])
def test_answers_as_timms_own(name: str, tmp_path: Path) -> None:
    network = random_network(name, NETWORKS[name])
    torch.save(network.state_dict(), tmp_path / "upload")
    inspection = inspect(tmp_path / "upload", name, NETWORKS[name])
    spec = inspection.architecture
    assert (spec.name, spec.num_classes, inspection.architecture_source) == (f"timm-{name}", 5, "declared")
    assert inspection.parameters == sum(parameter.numel() for parameter in network.parameters())
    teacher = load_teacher(tmp_path / "canonical", inspection).network
    images = torch.randn(2, 3, spec.input_size, spec.input_size)
    with torch.inference_mode():
        expected = network(images)
        assert expected.std() > 1e-3
        torch.testing.assert_close(teacher(images), expected, rtol=0, atol=1e-6)
        outputs = teacher.forward_stages(images)
    assert tuple(stage.shape[1] for stage in outputs.stages) == teacher.stage_channels
    assert outputs.pooled.shape[0] == 2 and outputs.pooled.ndim == 2
    assert all(teacher.stage_convolutions(index) for index in range(len(outputs.stages)))


def test_what_was_not_declared_comes_from_timms_configuration_and_is_said(tmp_path: Path) -> None:
    torch.save(random_network("test_vit", None).state_dict(), tmp_path / "upload")
    inspection = inspect(tmp_path / "upload", "test_vit")
    assert inspection.architecture.input_size == 160
    half = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert (inspection.normalization, inspection.normalization_source) == (half, "library")
    assert any("the library names" in warning for warning in inspection.warnings)
    declared = inspect(tmp_path / "upload", "test_vit", mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0))
    assert declared.normalization_source == "declared"
    torch.save(random_network("test_convnext", None).state_dict(), tmp_path / "flexible")
    flexible = inspect(tmp_path / "flexible", "test_convnext")
    assert any("timm's own configuration" in warning for warning in flexible.warnings)


def test_mismatching_weights_are_refused_with_their_differences(tmp_path: Path) -> None:
    state = random_network("test_vit", None).state_dict()
    state["norm.weight"] = torch.ones(3)
    state["extra.weight"] = state.pop("norm.bias")
    safetensors.torch.save_file(state, tmp_path / "upload")
    with pytest.raises(CheckpointRejected) as caught:
        inspect(tmp_path / "upload", "test_vit")
    assert caught.value.code == "architecture_mismatch"
    for difference in (
        "norm.weight is [3] instead of [64]",
        "norm.bias [64] is missing",
        "extra.weight [64] is",
    ):
        assert difference in caught.value.detail
    assert not (tmp_path / "canonical").exists()


def test_integers_that_index_are_timms_own(tmp_path: Path) -> None:
    state = random_network("efficientformer_l1", None).state_dict()
    name = next(name for name, tensor in state.items() if name.endswith("attention_bias_idxs"))
    torch.save(state, tmp_path / "upload")
    assert inspect(tmp_path / "upload", "efficientformer_l1").architecture.input_size == 224
    torch.save({**state, name: state[name].flip(0)}, tmp_path / "upload")
    with pytest.raises(CheckpointRejected, match="attention_bias_idxs") as caught:
        inspect(tmp_path / "upload", "efficientformer_l1")
    assert caught.value.code == "architecture_mismatch"


def test_a_network_without_its_classifier_or_for_another_size_is_refused(tmp_path: Path) -> None:
    headless = random_network("test_vit", None, num_classes=0).state_dict()
    torch.save(headless, tmp_path / "upload")
    with pytest.raises(CheckpointRejected, match="the classifier, is missing"):
        inspect(tmp_path / "upload", "test_vit")
    torch.save(random_network("test_vit", 96).state_dict(), tmp_path / "upload")
    with pytest.raises(CheckpointRejected, match="pos_embed is"):
        inspect(tmp_path / "upload", "test_vit", 160)
    assert inspect(tmp_path / "upload", "test_vit", 96).architecture.input_size == 96


def test_a_name_that_timm_does_not_know_is_refused_with_those_near_to_it() -> None:
    with pytest.raises(CheckpointRejected) as caught:
        table("resnet19")
    assert caught.value.code == "architecture_unknown"
    assert "timm-resnet18" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "timm-",
        "timm-../../etc/passwd",
        "timm-/etc/passwd",
        "timm-hf-hub:someone/something",
        "timm-local-dir:somewhere",
        "timm-resnet18.a1_in1k",
        "timm-ResNet18",
        "timm-resnet18\n",
        "timm-resnet18 ",
        "timm-\u0433esnet18",
    ],
)
def test_names_with_other_characters_are_refused_before_timm_is_asked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "upload").write_bytes(b"")
    monkeypatch.setattr("models.checkpoints.declared.ask_child", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(RecipeError):
        validate_name(name)
    with pytest.raises(CheckpointRejected):
        inspect_isolated(tmp_path / "upload", tmp_path / "out", InspectOptions(architecture=name))
    with pytest.raises(CheckpointRejected) as caught:
        table_of(name, None, tensors=1, materialized_bytes=1)
    assert caught.value.code == "architecture_unknown"


@pytest.mark.parametrize(
    ("name", "size", "limits", "code"),
    [
        ("vit_giant_patch14_224", None, {}, "limit_exceeded"),
        ("resnet18", None, {"tensors": 121}, "limit_exceeded"),
        ("resnet18", None, {"materialized_bytes": 1_000_000}, "limit_exceeded"),
        ("test_vit", 100, {}, "architecture_mismatch"),
        ("vit_base_patch14_reg4_dinov2", None, {}, "architecture_mismatch"),
    ],
)
def test_networks_that_are_too_large_or_take_no_such_images_are_refused(name, size, limits, code) -> None:
    with pytest.raises(CheckpointRejected) as caught:
        table(name, size, **limits)
    assert caught.value.code == code
    assert caught.value.code in CODES and caught.value.hint


def test_without_timm_the_name_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(CheckpointRejected) as caught:
        load_library()
    assert caught.value.code == "architecture_unavailable"
    assert "pip install proctor[timm]" in caught.value.hint
    with pytest.raises(RecipeError) as built:
        build(ArchitectureSpec("timm-resnet10t", 10, 64))
    assert built.value.code == "architecture_unavailable"


def test_students_are_none_of_timms() -> None:
    with pytest.raises(RecipeError) as caught:
        validate_student_name("timm-resnet18")
    assert caught.value.code == "recipe_invalid"
    validate_student_name("torchvision-swin_t")


def test_the_processes_agree(tmp_path: Path) -> None:
    """The whole way: timm's side process, then the parser's, both confined."""
    network = random_network("test_efficientnet", None)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "upload")
    options = InspectOptions(architecture="timm-test_efficientnet", mean=IMAGENET.mean, std=IMAGENET.std)
    inspection = inspect_isolated(tmp_path / "upload", tmp_path / "canonical", options)
    assert inspection.architecture == ArchitectureSpec("timm-test_efficientnet", 5, 160)
    assert inspection.macs is not None
    load_teacher(tmp_path / "canonical", inspection)
