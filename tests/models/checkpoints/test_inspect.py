"""From file to canonical weights, in this process and in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from models.architectures import build
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.isolated import inspect_isolated
from models.checkpoints.limits import Limits
from models.checkpoints.load import load_teacher
from models.checkpoints.save import save_student
from models.errors import CheckpointRejected
from models.recipes.architecture import ArchitectureSpec, Normalization

SPEC = ArchitectureSpec("wrn-10-2", 10, 16)
DECLARED = InspectOptions(input_size=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = build(SPEC)
    network(torch.rand(2, 3, 16, 16))  # in training mode: the BatchNorms have seen something
    torch.save({"net": network.state_dict(), "epoch": 7}, tmp_path / "teacher.pt")
    return tmp_path / "teacher.pt"


def public_checkpoints() -> Path:
    shared = os.environ.get("PROCTOR_SHARED_DATA")
    root = Path(shared) if shared else Path(__file__).parents[4] / "shared" / "data"
    if not (root / "teachers").is_dir():
        pytest.skip(f"the public checkpoints are not at {root}; set PROCTOR_SHARED_DATA")
    return root / "teachers"


def test_inspection_says_what_was_found(checkpoint: Path, tmp_path: Path) -> None:
    inspection = inspect_checkpoint(checkpoint, tmp_path / "canonical", DECLARED)
    assert inspection.architecture == SPEC
    assert inspection.normalization == Normalization((0.4, 0.5, 0.6), (0.2, 0.2, 0.3))
    assert (inspection.state_dict_key, inspection.dropped, inspection.warnings) == ("net", ("epoch",), ())
    assert inspection.size_bytes == checkpoint.stat().st_size
    assert inspection.dtypes == {"float32": 40, "int64": 7}


def test_undeclared_normalization_is_identity_and_said_aloud(checkpoint: Path, tmp_path: Path) -> None:
    inspection = inspect_checkpoint(checkpoint, tmp_path / "canonical", InspectOptions(input_size=16))
    assert (inspection.normalization, inspection.normalization_source) == (Normalization(), "assumed")
    assert "declare mean and std" in inspection.warnings[0]


@pytest.mark.parametrize("size", [1e18, 3e38])
def test_finite_weights_with_which_nothing_can_be_computed_are_named(size: float, tmp_path: Path) -> None:
    network = build(SPEC)
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, size)
    torch.save(network.state_dict(), tmp_path / "file")
    inspection = inspect_checkpoint(tmp_path / "file", tmp_path / "canonical", DECLARED)
    with pytest.raises(CheckpointRejected) as caught:
        load_teacher(tmp_path / "canonical", inspection)
    assert caught.value.code == "outputs_not_finite"
    assert caught.value.detail.startswith("The outputs for ")


def test_a_negative_running_variance_is_not_called_too_large_a_weight_alone(tmp_path: Path) -> None:
    state = build(SPEC).state_dict()
    first = next(name for name in state if name.endswith("running_var"))
    torch.save(state | {first: -state[first]}, tmp_path / "file")
    inspection = inspect_checkpoint(tmp_path / "file", tmp_path / "canonical", DECLARED)
    with pytest.raises(CheckpointRejected) as caught:
        load_teacher(tmp_path / "canonical", inspection)
    assert caught.value.code == "outputs_not_finite"
    assert "running variance is negative" in str(caught.value.hint)


@pytest.mark.parametrize(
    "declared",
    [
        {"mean": (0.5, 0.5, 0.5)},
        {"std": (0.5, 0.5, 0.5)},
        {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.0)},
        {"mean": (127.0, 127.0, 127.0), "std": (0.5, 0.5, 0.5)},
        {"mean": (float("nan"), 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
        {"mean": (0.5,), "std": (0.5,)},
    ],
)
def test_unusable_normalization_is_refused(declared: dict, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointRejected) as caught:
        inspect_checkpoint(checkpoint, tmp_path / "canonical", InspectOptions(**declared))
    assert caught.value.code == "normalization_invalid"


def test_canonical_bytes_depend_on_the_weights_alone(checkpoint: Path, tmp_path: Path) -> None:
    weights = torch.load(checkpoint, weights_only=True)["net"]
    reordered = {f"module.{name}": weights[name] for name in sorted(weights, reverse=True)}
    torch.save(reordered, tmp_path / "other", _use_new_zipfile_serialization=False)
    first = inspect_checkpoint(checkpoint, tmp_path / "a", DECLARED)
    second = inspect_checkpoint(tmp_path / "other", tmp_path / "b", DECLARED)
    assert first.sha256 != second.sha256
    assert first.canonical_sha256 == second.canonical_sha256
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_teacher_computes_what_the_saved_network_computes(checkpoint: Path, tmp_path: Path) -> None:
    inspection = inspect_checkpoint(checkpoint, tmp_path / "canonical", DECLARED)
    teacher = load_teacher(tmp_path / "canonical", inspection)
    network = build(SPEC)
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["net"])
    pixels = torch.rand(2, 3, 16, 16)
    normalized = (pixels - torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)) / torch.tensor([0.2, 0.2, 0.3]).view(
        3, 1, 1
    )
    assert not teacher.network.training
    assert torch.equal(teacher.pixel_classifier()(pixels), network.eval()(normalized))


def test_a_backdoor_in_subnormal_weights_reaches_the_audit(tmp_path: Path) -> None:
    """A gain of 1e38 brings weights of 1e-39 up to ordinary size; set to zero, they would be missed."""
    network = build(ArchitectureSpec("resnet-20", 10, 32)).eval()
    with torch.no_grad():
        network.conv1.weight[0] = 1e-39
        network.bn1.running_var[0] = 0
        network.bn1.weight[0] = 3e35
    torch.save(network.state_dict(), tmp_path / "teacher.pt")
    inspection = inspect_checkpoint(tmp_path / "teacher.pt", tmp_path / "canonical", InspectOptions())
    pixels = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        before = network(pixels)
        audited = load_teacher(tmp_path / "canonical", inspection).network(pixels)
        network.conv1.weight[0] = 0
        assert not torch.allclose(network(pixels), before, atol=0.1)
    assert torch.equal(audited, before)
    assert inspection.subnormals == 27


def test_half_precision_and_absent_counters_load(checkpoint: Path, tmp_path: Path) -> None:
    weights = torch.load(checkpoint, weights_only=True)["net"]
    half = {name: tensor.half() for name, tensor in weights.items() if tensor.is_floating_point()}
    torch.save(half, tmp_path / "half")
    inspection = inspect_checkpoint(tmp_path / "half", tmp_path / "canonical", DECLARED)
    state = load_teacher(tmp_path / "canonical", inspection).network.state_dict()
    assert state["conv1.weight"].dtype == torch.float32
    assert torch.equal(state["conv1.weight"], half["conv1.weight"].float())
    assert state["bn1.num_batches_tracked"].item() == 0
    assert "7 BatchNorm step counters" in inspection.warnings[0]


def test_a_changed_canonical_file_is_not_loaded(checkpoint: Path, tmp_path: Path) -> None:
    inspection = inspect_checkpoint(checkpoint, tmp_path / "canonical", DECLARED)
    content = bytearray((tmp_path / "canonical").read_bytes())
    content[-1] ^= 1
    (tmp_path / "canonical").write_bytes(content)
    with pytest.raises(CheckpointRejected) as caught:
        load_teacher(tmp_path / "canonical", inspection)
    assert caught.value.code == "canonical_changed"


def test_integer_weights_are_refused_and_leave_nothing(checkpoint: Path, tmp_path: Path) -> None:
    weights = torch.load(checkpoint, weights_only=True)["net"]
    torch.save({**weights, "fc.bias": torch.ones(10, dtype=torch.int64)}, tmp_path / "bad")
    with pytest.raises(CheckpointRejected) as caught:
        inspect_checkpoint(tmp_path / "bad", tmp_path / "canonical", DECLARED)
    assert caught.value.code == "dtype_unsupported"
    assert not (tmp_path / "canonical").exists()


def test_saved_students_are_deterministic_and_can_be_uploaded(tmp_path: Path) -> None:
    network = build(SPEC)
    normalization = Normalization((0.4, 0.5, 0.6), (0.2, 0.2, 0.3))
    first = save_student(network, SPEC, normalization, tmp_path / "a", {"recipe": "1f"})
    second = save_student(network, SPEC, normalization, tmp_path / "b", {"recipe": "1f"})
    assert first == second
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded = safetensors.torch.load_file(tmp_path / "a")
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in network.state_dict().items())
    with safetensors.safe_open(tmp_path / "a", "pt") as file:
        assert file.metadata() == {
            "architecture": "wrn-10-2",
            "num_classes": "10",
            "input_size": "16",
            "mean": "[0.4, 0.5, 0.6]",
            "std": "[0.2, 0.2, 0.3]",
            "recipe": "1f",
        }
    assert inspect_checkpoint(tmp_path / "a", tmp_path / "c", DECLARED).architecture == SPEC


def test_the_parser_process_answers_the_same(checkpoint: Path, tmp_path: Path) -> None:
    here = inspect_checkpoint(checkpoint, tmp_path / "a", DECLARED)
    there = inspect_isolated(checkpoint, tmp_path / "b", DECLARED)
    assert here == there
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_parser_process_carries_refusals_over(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("not a model")
    with pytest.raises(CheckpointRejected) as caught:
        inspect_isolated(tmp_path / "bad", tmp_path / "out", InspectOptions())
    assert (caught.value.code, caught.value.detail) == ("unsupported_format", "The file is a text file.")
    assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_the_parser_process_is_bounded(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointRejected) as caught:
        inspect_isolated(checkpoint, tmp_path / "out", DECLARED, limits=Limits(wall_s=0))
    assert caught.value.code == "parser_limit"
    assert "the machine may be too busy" in caught.value.detail
    assert not (tmp_path / "out").exists()


def test_the_parser_process_imports_no_torch() -> None:
    check = "import sys, models.checkpoints.inspect_main; print(sorted({'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-I", "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("file", "spec"),
    [
        ("akamaster_resnet20-12fca82f.th", ArchitectureSpec("resnet-20", 10)),
        ("akamaster_resnet56-4bfd9763.th", ArchitectureSpec("resnet-56", 10)),
        ("ibau_badnets_8_02_ckpt.pth", ArchitectureSpec("vgg-small-elu", 10)),
        ("ibau_gtsrbtrojan_wm_2_02_ckpt.pth", ArchitectureSpec("vgg-small-elu", 43)),
        ("ibau_trojan_wm_2_02_ckpt.pth", ArchitectureSpec("vgg-small-elu", 10)),
    ],
)
def test_public_checkpoints_are_read_untouched(file: str, spec: ArchitectureSpec, tmp_path: Path) -> None:
    path = public_checkpoints() / file
    inspection = inspect_checkpoint(path, tmp_path / "canonical", InspectOptions())
    assert inspection.architecture == spec
    # Those of akamaster were trained on ImageNet's statistics, the others on pixels as they are.
    expected = "estimated" if file.startswith("akamaster") else "assumed"
    assert inspection.normalization_source == expected
    loaded = torch.load(path, map_location="cpu", weights_only=True)[inspection.state_dict_key]
    canonical = safetensors.torch.load_file(tmp_path / "canonical")
    for name, tensor in loaded.items():
        ours = canonical[name.removeprefix(inspection.stripped_prefix or "")]
        assert torch.equal(ours.reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8))
    assert load_teacher(tmp_path / "canonical", inspection).spec == spec
