"""How model inversion measures statistics, and what its students become: runs side by side.

    python -m benchmarks.statistics_distance fast public_watermark relative:1 raw:10 [--rounds 60]
    python -m benchmarks.statistics_distance digits badnets_grid relative:1 raw:1 --method cmi
    python -m benchmarks.statistics_distance digits badnets_grid relative:1 --defense abd_clip

The first word is a table of ``proctor reproduce``, the second a row of it; a teacher of the lab is made in
``--work`` first (ten minutes and more on CIFAR-10). Reads CIFAR-10, patterns and checkpoints from
PROCTOR_SHARED_DATA, or ``shared/data`` beside the repository. One thread. Prints accuracy, attack success and
clean target rate on all test images.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast, get_args

import torch

from benchmarks.audit_public_checkpoints import data_folder
from models import api
from models.architectures import PixelClassifier
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.lab.data import LabData, load_lab_data
from models.lab.reproduction.cell import Cell, PublicTeacher
from models.lab.reproduction.tables import find_table
from models.lab.reproduction.teachers import Folders, Suspect, lab_suspect, public_suspect
from models.metrics import accuracy, attack_success, clean_target_rate
from models.recipes.inversion import BatchNormDistance
from models.recipes.job import Recipe
from models.recipes.plan import AppliedDefense
from models.recipes.student import StudentRecipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table")
    parser.add_argument("row")
    parser.add_argument("variants", nargs="+", help="distance:weight")
    parser.add_argument("--method", choices=("fast", "cmi"), default="fast")
    parser.add_argument("--defense", choices=get_args(AppliedDefense), default="none")
    parser.add_argument("--rounds", type=int, help="the table's by default")
    parser.add_argument("--work", type=Path, default=Path("out/statistics_distance"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = find_table(options.table, "small")
    cell = next(cell for cell in table.cells if isinstance(cell, Cell) and cell.row == options.row)
    shared = data_folder()
    digits = table.data == "digits"
    data = load_lab_data("digits" if digits else str(shared / "cifar10"), None, size=16 if digits else 32)
    of = json.dumps(data.sha256, sort_keys=True)
    suspect = find(cell, data, Folders(options.work, shared / "triggers", shared / "teachers", of))
    for variant in options.variants:
        distance, weight = variant.split(":")
        recipe = varied(cell, options.method, distance, float(weight), options.rounds)
        recipe = replace(recipe, defense=options.defense, control=False)
        told = student(suspect, data, recipe)
        print(options.row, options.method, options.defense, options.rounds or "", variant, told, flush=True)


def find(cell: Cell, data: LabData, folders: Folders) -> Suspect:
    device = torch.device("cpu")
    if isinstance(cell.teacher, PublicTeacher):
        return public_suspect(cell.teacher, data.test, folders, device=device)
    watch = SilentMonitor()
    return lab_suspect(
        cell.teacher, data.training, data.test, folders, monitor=watch, resume=None, device=device
    )


def varied(
    cell: Cell, method: Literal["fast", "cmi"], distance: str, weight: float, rounds: int | None
) -> Recipe:
    """Return the recipe of a cell's table, with another distance of statistics."""
    measure = cast(BatchNormDistance, distance)
    fast = replace(
        cell.recipe.fast,
        rounds=rounds or cell.recipe.fast.rounds,
        batchnorm_distance=measure,
        batchnorm_weight=weight,
    )
    cmi = replace(
        cell.recipe.cmi,
        rounds=rounds or cell.recipe.cmi.rounds,
        batchnorm_distance=measure,
        batchnorm_weight=weight,
    )
    student = StudentRecipe(cell.student)
    return replace(cell.recipe, method=method, student=student, fast=fast, cmi=cmi)


def student(suspect: Suspect, data: LabData, recipe: Recipe) -> str:
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
