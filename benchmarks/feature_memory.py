"""Measure the memory of feature distillation on a CPU.

    python benchmarks/feature_memory.py peak      # WRN-28-4 -> WRN-16-4, batch 128, 32x32
    python benchmarks/feature_memory.py growth    # WRN-16-2 -> WRN-16-1, batch 32, 16x16, 1,000 steps

``peak`` prints the most resident memory the process ever had (VmHWM) after a few steps; ``--edited`` distills
detoxified features, which adds training steps of their masks. ``growth`` prints resident memory after
100 steps and at the end. Images are random: memory does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from models.architectures import build
from models.checkpoints.load import Teacher
from models.distillation import feature_task
from models.distillation.feature import distill_feature
from models.distillation.robustkd import canaries, detoxification
from models.distillation.robustkd.distiller import distill_robustkd
from models.engine.monitor import SilentMonitor
from models.engine.precision import bfloat16_pays
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.feature import FeatureRecipe
from models.recipes.robustkd import RobustKDRecipe

CLASSES = 10
PEAK_LIMIT_MIB = 6 * 1024
GROWTH_LIMIT_MIB = 50


class Watch(SilentMonitor):
    """Notes resident memory whenever the run reports progress."""

    def __init__(self) -> None:
        self.seen: dict[int, float] = {}

    def progress(self, done: int, total: int, **scalars: float) -> None:
        """Read the process's own size."""
        del total, scalars
        self.seen[done] = resident_mib("VmRSS")


def resident_mib(field: str) -> float:
    """Read ``VmRSS`` (now) or ``VmHWM`` (at most) of this process."""
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0]) / 1024


def distill(
    teacher: str, student: str, *, size: int, batch_size: int, steps: int, edited: bool
) -> tuple[Watch, float]:
    """Run ``steps`` steps; return what was seen and the process's size before the first of them."""
    torch.manual_seed(0)
    spec = ArchitectureSpec(teacher, CLASSES, size)
    suspect = Teacher(build(spec).eval(), Normalization((0.5,) * 3, (0.25,) * 3), spec)
    network = build(ArchitectureSpec(student, CLASSES, size))
    count = 4 * batch_size
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)
    labels = torch.arange(count) % CLASSES
    recipe = FeatureRecipe(epochs=-(-steps // 4), max_images=steps * batch_size, batch_size=batch_size)
    recipe = replace(recipe, learning_rate=1e-3)
    watch, before = Watch(), resident_mib("VmRSS")
    if edited:
        whole = RobustKDRecipe(
            thresholds=(0.9,),
            rounds=1,
            mask_batch_size=batch_size,
            canaries=3,
            canary_steps=2,
            feature=recipe,
        )
        distill_robustkd(suspect, network, images, labels, whole, seed=0, monitor=watch)
    else:
        distill_feature(suspect, network, images, labels, recipe, seed=0, monitor=watch)
    return watch, before


def peak(options: argparse.Namespace) -> bool:
    """Print the peak of the specification's pair."""
    _, before = distill(
        "wrn-28-4", "wrn-16-4", size=32, batch_size=128, steps=options.steps or 4, edited=options.edited
    )
    most = resident_mib("VmHWM")
    show(options, peak_mib=round(most), before_mib=round(before))
    return most <= PEAK_LIMIT_MIB


def growth(options: argparse.Namespace) -> bool:
    """Print by how much the process grows once it has settled."""
    steps = options.steps or 1_000
    watch, _ = distill("wrn-16-2", "wrn-16-1", size=16, batch_size=32, steps=steps, edited=options.edited)
    done = sorted(watch.seen)
    early = next(step for step in done if step >= done[-1] // 10)
    grown = watch.seen[done[-1]] - watch.seen[early]
    show(
        options,
        steps=done[-1],
        from_step=early,
        early_mib=round(watch.seen[early]),
        growth_mib=round(grown, 1),
    )
    return grown <= GROWTH_LIMIT_MIB


def show(options: argparse.Namespace, **measured: float) -> None:
    """Print one JSON line."""
    bfloat16 = bfloat16_pays(torch.device("cpu")) and not options.float32
    print(json.dumps({"what": options.what, "edited": options.edited, "bfloat16": bfloat16, **measured}))


def main() -> int:
    """Measure; fail when a limit is passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["peak", "growth"])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--edited", action="store_true")
    parser.add_argument("--float32", action="store_true", help="as on a CPU without bfloat16 arithmetic")
    options = parser.parse_args()
    if options.float32:
        for module in (feature_task, detoxification, canaries):
            vars(module)["bfloat16_pays"] = lambda _: False
    return 0 if {"peak": peak, "growth": growth}[options.what](options) else 1


if __name__ == "__main__":
    sys.exit(main())
