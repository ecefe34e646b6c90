"""How the fast method measures statistics, and what its undefended students become: short runs, side by side.

    python -m benchmarks.fast_distance public_watermark relative:1 relative:10 raw:1 raw:10 [--rounds 60]

The first word is a row of ``proctor reproduce fast``; a teacher of the lab is made in ``--work`` first (ten
minutes and more). Reads CIFAR-10, patterns and checkpoints from PROCTOR_SHARED_DATA, or ``shared/data``
beside the repository. One thread. Prints accuracy, attack success and clean target rate on all test images.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import cast

import torch

from benchmarks.audit_public_checkpoints import data_folder
from models import api
from models.architectures import PixelClassifier
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.lab.data import LabData, load_lab_data
from models.lab.reproduction.cell import PublicTeacher
from models.lab.reproduction.tables import find_table
from models.lab.reproduction.teachers import Folders, Suspect, lab_suspect, public_suspect
from models.metrics import accuracy, attack_success, clean_target_rate
from models.recipes.fast import BatchNormDistance, FastRecipe
from models.recipes.job import Recipe
from models.recipes.student import StudentRecipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("row")
    parser.add_argument("variants", nargs="+", help="distance:weight")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--work", type=Path, default=Path("out/fast_distance"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    shared = data_folder()
    data = load_lab_data(str(shared / "cifar10"), None, size=32)
    of = json.dumps(data.sha256, sort_keys=True)
    suspect = find(options.row, data, Folders(options.work, shared / "triggers", shared / "teachers", of))
    for variant in options.variants:
        print(
            options.row, options.rounds, variant, student(suspect, data, variant, options.rounds), flush=True
        )


def find(row: str, data: LabData, folders: Folders) -> Suspect:
    cell = next(cell for cell in find_table("fast", "small").cells if cell.row == row)
    device = torch.device("cpu")
    if isinstance(cell.teacher, PublicTeacher):
        return public_suspect(cell.teacher, data.test, folders, device=device)
    watch = SilentMonitor()
    return lab_suspect(
        cell.teacher, data.training, data.test, folders, monitor=watch, resume=None, device=device
    )


def student(suspect: Suspect, data: LabData, variant: str, rounds: int) -> str:
    distance, weight = variant.split(":")
    fast = FastRecipe(
        rounds=rounds,
        batchnorm_distance=cast(BatchNormDistance, distance),
        batchnorm_weight=float(weight),
    )
    recipe = Recipe(method="fast", defense="none", student=StudentRecipe("wrn-16-1"), fast=fast)
    began = time.monotonic()
    _, orders = api.plan_students(suspect.teacher, AuditData(), recipe)
    trained = api.distill(suspect.teacher, AuditData(), recipe, orders[-1], SilentMonitor())
    classifier = PixelClassifier(trained.network, suspect.teacher.normalization)
    images, labels = data.test.images, data.test.labels
    told = f"ACC {accuracy(classifier, images, labels).value:.3f}"
    trigger = suspect.trigger
    if trigger is not None:
        told += f" ASR {attack_success(classifier, images, labels, trigger).value:.3f}"
        told += f" CTR {clean_target_rate(classifier, images, labels, trigger.target_label).value:.3f}"
    return f"{told} {time.monotonic() - began:.0f} s"


if __name__ == "__main__":
    main()
