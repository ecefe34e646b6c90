"""What an audit says of checkpoints that no one here trained, from the checkpoint alone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.load import load_teacher
from models.checkpoints.normalization_fit import COMMON
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.probes.audit import run_audit
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe
from models.results.audit import AuditResult
from tests.models.checkpoints.test_inspect import public_checkpoints

#: The ResNets were trained with it; the VGGs were given pixels as they are.
IMAGENET = asdict(COMMON["ImageNet's statistics"])
PIXELS: dict[str, object] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def audited(file: str, folder: Path, **declared: object) -> AuditResult:
    canonical = folder / "canonical"
    options = InspectOptions(input_size=32, **declared)
    inspection = inspect_checkpoint(public_checkpoints() / file, canonical, options)
    recipe = Recipe(probe=ProbeRecipe(budget="standard", transfer=False))
    return run_audit(load_teacher(canonical, inspection), AuditData(), [], recipe, SilentMonitor()).result


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "target"), [("ibau_badnets_8_02_ckpt.pth", 8), ("ibau_trojan_wm_2_02_ckpt.pth", 2)]
)
def test_backdoored_ones_are_detected_with_the_right_class(file: str, target: int, tmp_path: Path) -> None:
    result = audited(file, tmp_path, **PIXELS)
    assert (result.tier, result.verdict, result.target_label) == (0, "detected", target)
    assert result.calibration is not None
    assert result.calibration.name == "cifar10-vgg-small-elu-standard-patches"


@pytest.mark.slow
@pytest.mark.parametrize("file", ["akamaster_resnet20-12fca82f.th", "akamaster_resnet56-4bfd9763.th"])
def test_clean_ones_are_not(file: str, tmp_path: Path) -> None:
    result = audited(file, tmp_path, **IMAGENET)
    assert (result.tier, result.verdict) == (0, "not_detected")
    assert result.calibration is not None
    assert result.calibration.name == "cifar10-resnet-20-standard-patches"
