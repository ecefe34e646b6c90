"""Networks of the user's own: described, written in every format, read, and computing the same as before."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import safetensors.torch
import torch

from app.schemas.layers import read_layer_list
from models.architectures.cost import count_macs, count_parameters
from models.checkpoints.described import DescribedTable
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.isolated import inspect_isolated
from models.checkpoints.load import load_teacher
from models.errors import CheckpointRejected
from models.results.inspection import CheckpointInspection
from tests.described_networks import NETWORKS, trained
from tests.layer_lists import LENET

FORMATS = ("torch_zip", "torch_legacy", "safetensors")


def write(state: dict[str, torch.Tensor], path: Path, file_format: str) -> Path:
    if file_format == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=file_format == "torch_zip")
    return path


def options(name: str, **more: object) -> InspectOptions:
    return InspectOptions(layers=read_layer_list(json.dumps(NETWORKS[name][1])), **more)


def inspect(
    name: str, tmp_path: Path, state: dict[str, torch.Tensor], **more: object
) -> CheckpointInspection:
    path = write(state, tmp_path / "upload", "safetensors")
    return inspect_checkpoint(path, tmp_path / "canonical", options(name, **more))


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_described_network_computes_what_the_users_does(
    name: str, file_format: str, tmp_path: Path
) -> None:
    network = trained(name)
    state = {f"module.{key}": tensor for key, tensor in network.state_dict().items()}
    path = write(state, tmp_path / "upload", file_format)
    inspection = inspect_isolated(path, tmp_path / "canonical", options(name))
    assert (inspection.format, inspection.architecture_source) == (file_format, "declared")
    teacher = load_teacher(tmp_path / "canonical", inspection)
    assert teacher.sha256 == inspection.canonical_sha256
    size = NETWORKS[name][1]["input_size"]
    assert inspection.macs == count_macs(teacher.network, size)
    # float64, because a sum's order of operands decides its memory's layout, and so the rounding behind it
    images = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(1)).double()
    network, built = network.double(), teacher.network.double()
    with torch.inference_mode():
        expected = network(images)
        assert expected.std() > 1e-3
        torch.testing.assert_close(built(images), expected, rtol=0, atol=1e-9)
        outputs = built.forward_stages(images)
        torch.testing.assert_close(outputs.logits, expected, rtol=0, atol=1e-9)
    assert [stage.shape[1] for stage in outputs.stages] == list(teacher.network.stage_channels)
    assert inspection.parameters == count_parameters(teacher.network) == count_parameters(network)
    assert inspection.buffers == sum(buffer.numel() for buffer in network.buffers())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_reader_in_this_process_finds_the_same_as_the_one_in_its_own(name: str, tmp_path: Path) -> None:
    state = trained(name).state_dict()
    here = inspect(name, tmp_path, state)
    apart = inspect_isolated(tmp_path / "upload", tmp_path / "apart", options(name))
    assert asdict(here) == asdict(apart) | {"warnings": here.warnings}  # the sandbox may warn


def test_an_inspection_names_the_description(tmp_path: Path) -> None:
    found = inspect("residual", tmp_path, trained("residual").state_dict())
    assert found.layers_sha256 is not None
    assert found.architecture.name == f"layers-{found.layers_sha256[:12]}"
    assert found.layers_summary == (
        "9 convolutions, 9 BatchNorms, 1 linear layer, 3 residual blocks; stages of 8 x 16 x 16, 16 x 8 x 8, "
        "32 x 4 x 4, marked by the user."
    )
    assert (found.architecture.num_classes, found.architecture.input_size) == (4, 16)


def test_the_parser_is_given_a_table_and_no_description() -> None:
    described = options("lenet").layers
    assert described is not None
    table = DescribedTable.of(described)
    assert table.sources["layers.0.weight"] == "conv1.weight"
    assert DescribedTable.from_json(json.loads(json.dumps(asdict(table)))) == table


def test_absent_step_counters_are_zero(tmp_path: Path) -> None:
    state = {k: v for k, v in trained("residual").state_dict().items() if not k.endswith("tracked")}
    found = inspect("residual", tmp_path, state)
    assert any("9 BatchNorm step counters" in warning for warning in found.warnings)
    load_teacher(tmp_path / "canonical", found)


def test_differences_are_told_by_the_files_names(tmp_path: Path) -> None:
    state = dict(trained("lenet").state_dict())
    state["conv1.weight"] = torch.ones(6, 1, 5, 5)
    state["extra"] = torch.ones(2)
    state["conv9.bias"] = state.pop("conv2.bias")
    with pytest.raises(CheckpointRejected) as caught:
        inspect("lenet", tmp_path, state)
    assert caught.value.code == "architecture_mismatch"
    assert "conv1.weight is [6, 1, 5, 5] instead of [6, 3, 5, 5]" in caught.value.detail
    assert "conv2.bias [16] is missing" in caught.value.detail
    assert "extra [2] is unexpected" in caught.value.detail
    assert "conv9.bias [16] is unexpected" in caught.value.detail
    assert "prefix" in caught.value.hint
    assert not (tmp_path / "canonical").exists()


def test_at_most_twenty_differences_are_listed(tmp_path: Path) -> None:
    state = {f"x.{number}": torch.ones(1) for number in range(60)}
    with pytest.raises(CheckpointRejected) as caught:
        inspect("lenet", tmp_path, state)
    assert caught.value.detail.count(";") == 20
    assert caught.value.detail.endswith("and 50 more.")


@pytest.mark.parametrize(
    ("more", "code", "word"),
    [
        ({"num_classes": 7}, "architecture_mismatch", "10 classes, not 7. Leave the number of classes out"),
        ({"input_size": 32}, "architecture_mismatch", "28 pixels a side, not 32. Leave the input size out"),
        ({"architecture": "wrn-16-2"}, "layers_invalid", "Both"),
    ],
)
def test_declarations_must_agree_with_the_description(more, code: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointRejected) as caught:
        inspect("lenet", tmp_path, trained("lenet").state_dict(), **more)
    assert caught.value.code == code
    assert word in f"{caught.value.detail} {caught.value.hint}"


def test_neither_defaults_nor_order_of_fields_change_the_hash(tmp_path: Path) -> None:
    state = trained("lenet").state_dict()
    plain = inspect("lenet", tmp_path, state)
    layers = [dict(reversed(layer.items())) for layer in LENET["layers"]]
    layers[0] |= {"stride": 1, "bias": True}
    described = read_layer_list(json.dumps({**LENET, "layers": layers}, indent=2))
    again = inspect_checkpoint(tmp_path / "upload", tmp_path / "again", InspectOptions(layers=described))
    assert again.layers_sha256 == plain.layers_sha256
    layers[1] = {"type": "relu"}
    other = read_layer_list(json.dumps({**LENET, "layers": layers}))
    changed = inspect_checkpoint(tmp_path / "upload", tmp_path / "other", InspectOptions(layers=other))
    assert changed.layers_sha256 != plain.layers_sha256
