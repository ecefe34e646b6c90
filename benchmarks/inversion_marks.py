"""How far patches come on their way to a network's own images: the marks of ``probes.inverted_images``.

    python -m benchmarks.inversion_marks [--only wrn-10-1]

One clean network of digits per architecture and kind of training, and the public checkpoints (photographs'
patches; PROCTOR_SHARED_DATA, or ``shared/data`` beside the repository). One thread. Prints the share of the
images that the network names as asked, and how much of the patches' distance from its statistics is left.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from benchmarks.audit_public_checkpoints import CHECKPOINTS, data_folder, intake
from benchmarks.population.members import ARCHITECTURES, CLEAN
from models.checkpoints.load import Teacher
from models.engine.frozen import frozen
from models.engine.monitor import SilentMonitor
from models.engine.precision import to_channels_last
from models.lab.calibration.variants import variants
from models.lab.data import load_lab_data
from models.lab.teachers import make_teacher
from models.probes.inverted_images import invert
from models.recipes.lab import digits_recipe
from models.recipes.ood import PatchStyle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of a name")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, teacher, style in (*digits(options.only), *public(options.only)):
        started = time.monotonic()
        to_channels_last(teacher.network)
        with frozen(teacher.pixel_classifier()) as classifier:
            made = invert(
                classifier,
                num_classes=teacher.spec.num_classes,
                size=teacher.spec.input_size,
                style=style,
                seed=0,
                monitor=SilentMonitor(),
            )
        seconds = time.monotonic() - started
        print(f"{name:45} named {made.named:.3f}  left {made.left:.2f}  {seconds:.0f} s", flush=True)


def digits(only: str) -> Iterator[tuple[str, Teacher, PatchStyle]]:
    """Make a network of each kind; the kinds come in turns, so that the first of each will do."""
    data = load_lab_data("digits", None, size=16)
    seed, count = CLEAN["calibration"]
    for architecture in ARCHITECTURES:
        seen = set()
        for variant in variants(replace(digits_recipe(), architecture=architecture), count, seed):
            name = f"{architecture} {variant.kind}"
            if variant.kind in seen or only not in name:
                continue
            seen.add(variant.kind)
            made = make_teacher(variant.recipe, data.training, data.test, monitor=SilentMonitor())
            yield name, made.teacher, "strokes"


def public(only: str) -> Iterator[tuple[str, Teacher, PatchStyle]]:
    """Read the checkpoints that others published."""
    for known in CHECKPOINTS:
        if only in known.file:
            yield known.file, intake(data_folder() / "teachers" / known.file, known), "photo"


if __name__ == "__main__":
    main()
