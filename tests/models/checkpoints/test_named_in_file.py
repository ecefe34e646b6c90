"""What a file says of itself stands in for what nobody declared; it can neither break nor overrule any."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from models.architectures import build
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.named_in_file import NamedInFile, named_in_file
from models.checkpoints.save import save_student
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.results.inspection import CheckpointInspection

SPEC = ArchitectureSpec("wrn-10-2", 10, 16)
NORMALIZATION = Normalization((0.4, 0.5, 0.6), (0.2, 0.2, 0.3))
USUAL = 32
#: As ``save_student`` writes them.
SAID = {"architecture": "wrn-10-2", "input_size": "16", "mean": "[0.4, 0.5, 0.6]", "std": "[0.2, 0.2, 0.3]"}


def inspected(tmp_path: Path, metadata: dict[str, str], **declared: object) -> CheckpointInspection:
    torch.manual_seed(0)
    safetensors.torch.save_file(build(SPEC).state_dict(), tmp_path / "file", metadata)
    return inspect_checkpoint(tmp_path / "file", tmp_path / "canonical", InspectOptions(**declared))


def test_a_student_of_ours_comes_back_as_it_went(tmp_path: Path) -> None:
    save_student(build(SPEC), SPEC, NORMALIZATION, tmp_path / "student", {"recipe": "1f"})
    inspection = inspect_checkpoint(tmp_path / "student", tmp_path / "canonical", InspectOptions())
    assert inspection.architecture == SPEC
    assert (inspection.normalization, inspection.normalization_source) == (NORMALIZATION, "file")
    assert [("header" in warning) for warning in inspection.warnings[:2]] == [True, True]
    assert "16 x 16" in inspection.warnings[0]


def test_the_users_declarations_prevail(tmp_path: Path) -> None:
    declared = {"input_size": 24, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    inspection = inspected(tmp_path, SAID, **declared)
    assert inspection.architecture.input_size == 24
    assert inspection.normalization == Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert inspection.normalization_source == "declared"
    assert not any("header" in warning for warning in inspection.warnings)


@pytest.mark.parametrize(
    "lie",
    [
        {"architecture": "wrn-16-1"},
        {"input_size": "7"},
        {"input_size": "513"},
        {"input_size": "16.0"},
        {"input_size": "true"},
        {"input_size": "sixteen"},
        {"input_size": "[" * 10_000},
        {"input_size": "1" * 10_000},
    ],
    ids=str,
)
def test_a_size_that_cannot_be_used_counts_as_not_said(lie: dict[str, str], tmp_path: Path) -> None:
    inspection = inspected(tmp_path, {**SAID, **lie})
    assert inspection.architecture.input_size == USUAL
    assert "do not tell the input size" in inspection.warnings[0]


def test_a_size_against_the_weights_counts_as_not_said(tmp_path: Path) -> None:
    spec = ArchitectureSpec("vgg-small-elu", 10, 32)
    safetensors.torch.save_file(
        build(spec).state_dict(), tmp_path / "file", {"architecture": "vgg-small-elu", "input_size": "64"}
    )
    inspection = inspect_checkpoint(tmp_path / "file", tmp_path / "canonical", InspectOptions())
    assert inspection.architecture == spec
    assert not any("header" in warning for warning in inspection.warnings)


@pytest.mark.parametrize(
    "lie",
    [
        {"mean": "[0.4, 0.5]"},
        {"mean": "0.4"},
        {"mean": '["0.4", "0.5", "0.6"]'},
        {"mean": "[true, true, true]"},
        {"mean": "[NaN, 0.5, 0.5]"},
        {"mean": "[11, 0.5, 0.5]"},
        {"mean": "[" + "1" * 190 + ", 0, 0]"},
        {"std": "[0, 0.2, 0.3]"},
        {"std": "[-0.2, 0.2, 0.3]"},
        {"std": "[1e999, 0.2, 0.3]"},
        {"std": "{}"},
        {"std": ""},
    ],
    ids=str,
)
def test_a_normalization_that_cannot_be_used_counts_as_not_said(lie: dict[str, str], tmp_path: Path) -> None:
    inspection = inspected(tmp_path, {**SAID, **lie})
    assert (inspection.normalization, inspection.normalization_source) == (Normalization(), "assumed")


def test_half_a_normalization_is_none() -> None:
    assert named_in_file({"mean": "[0, 0, 0]"}) == NamedInFile(None, None, None)
    assert named_in_file({}) == NamedInFile(None, None, None)
