"""Audit public checkpoints that nobody here trained, and print what the probes say and what it costs.

    python benchmarks/audit_public_checkpoints.py [--budget quick|standard|thorough] [--no-transfer]
        [--surrogates patches|inverted] [--only NAME] [--seed N]

The data folder is PROCTOR_SHARED_DATA, or ``shared/data`` beside the repository; its README names sources
and licenses. Checkpoints pass through the real intake, byte for byte as published. Nothing is tuned here:
names, targets and triggers below only label the rows and give the known trigger to the transfer probe.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.load import Teacher, load_teacher
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.probes.audit import run_audit
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe
from models.results.audit import AuditResult
from models.triggers import Trigger
from models.triggers.catalog import make_trigger
from models.triggers.image_file import load_trigger_png


@dataclass(frozen=True)
class Public:
    file: str
    true_target: int | None
    num_classes: int
    trigger: str | None = None
    imagenet_statistics: bool = False


CHECKPOINTS = (
    Public("ibau_badnets_8_02_ckpt.pth", 8, 10, "square"),
    Public("ibau_trojan_wm_2_02_ckpt.pth", 2, 10, "watermark"),
    Public("ibau_gtsrbtrojan_wm_2_02_ckpt.pth", 2, 43),
    Public("akamaster_resnet20-12fca82f.th", None, 10, imagenet_statistics=True),
    Public("akamaster_resnet56-4bfd9763.th", None, 10, imagenet_statistics=True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", default="standard", choices=["quick", "standard", "thorough"])
    parser.add_argument("--no-transfer", action="store_true")
    parser.add_argument("--surrogates", default="patches", choices=["patches", "inverted"])
    parser.add_argument("--only", default="", help="part of a file name")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = data_folder()
    probe = ProbeRecipe(
        budget=options.budget, transfer=not options.no_transfer, surrogates=options.surrogates
    )
    recipe = Recipe(seed=options.seed, probe=probe)
    print(
        f"budget {options.budget}, {options.surrogates}, seed {options.seed}, "
        f"{torch.get_num_threads()} threads, tier 0\n"
    )
    print(f"{'checkpoint':40} {'true':>4} {'named':>5} {'verdict':13} {'ratios':>16} {'hazard':>10} {'s':>5}")
    for public in CHECKPOINTS:
        if options.only in public.file:
            audit_one(public, folder, recipe)


def data_folder() -> Path:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PROCTOR_SHARED_DATA", beside))
    if not (folder / "teachers").is_dir():
        sys.exit(f"No checkpoints in {folder}. Set PROCTOR_SHARED_DATA to the folder with teachers/.")
    return folder


def audit_one(public: Public, folder: Path, recipe: Recipe) -> None:
    teacher = intake(folder / "teachers" / public.file, public)
    triggers = [] if public.trigger is None else [known_trigger(public, folder)]
    # Once without the trigger, for what the probes find alone; the given one would decide the verdict.
    started = time.monotonic()
    blind = replace(recipe, probe=replace(recipe.probe, transfer=False))
    result = run_audit(teacher, AuditData(), [], blind, SilentMonitor()).result
    show(public, result, time.monotonic() - started)
    if recipe.probe.transfer:
        started = time.monotonic()
        result = run_audit(teacher, AuditData(), triggers, recipe, SilentMonitor()).result
        show(public, result, time.monotonic() - started)


def intake(path: Path, public: Public) -> Teacher:
    with tempfile.TemporaryDirectory() as folder:
        canonical = Path(folder) / "canonical.safetensors"
        options = InspectOptions(
            num_classes=public.num_classes,
            input_size=32,
            mean=(0.485, 0.456, 0.406) if public.imagenet_statistics else (0.0, 0.0, 0.0),
            std=(0.229, 0.224, 0.225) if public.imagenet_statistics else (1.0, 1.0, 1.0),
        )
        return load_teacher(canonical, inspect_checkpoint(path, canonical, options))


def known_trigger(public: Public, folder: Path) -> Trigger:
    assert public.true_target is not None
    if public.trigger == "square":
        return make_trigger("badnets_square", 32, public.true_target)
    return load_trigger_png(
        (folder / "triggers" / "trojan_wm.png").read_bytes(),
        kind="additive",
        opacity=1.0,
        target_label=public.true_target,
        name="trojan watermark",
        size=32,
    )


def show(public: Public, result: AuditResult, seconds: float) -> None:
    ratios = " ".join("-" if p.statistic is None else f"{math.exp(p.statistic):.2f}" for p in result.probes)
    named = [str(probe.target_label) for probe in result.probes]
    print(
        f"{public.file:40} {public.true_target!s:>4} {'/'.join(named):>5} {result.verdict:13} {ratios:>16} "
        f"{result.hazard:>10} {seconds:5.0f}",
        flush=True,
    )
    print("    " + ", ".join(f"{probe.probe} {probe.seconds:.0f} s" for probe in result.probes))
    for report in result.triggers:
        rate = report.teacher_success
        print(f"    {report.name}: teacher {rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}] of {rate.n}")
    for moved in result.transfers:
        rate, curve = moved.student_success, " ".join(f"{n}:{value:.2f}" for n, value in moved.curve)
        print(
            f"    transfer of {moved.trigger}: student {rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}] of "
            f"{rate.n}, control {moved.control_success.value:.3f}, index {moved.index:.2f}, {moved.hazard}, "
            f"agreement {moved.student_agreement:.2f}, {moved.images_seen} images\n      curve {curve}"
        )
    if result.calibration is not None:
        print(f"    {result.calibration.sentence} Score {result.calibration.score}.")
    print(f"    {result.sentence}", flush=True)


if __name__ == "__main__":
    main()
