"""What the transfer probe says at its own lengths, beside full students: ten triggers, digits, every channel.

    python -m benchmarks.transfer_channels --work out/digits     # teachers that are not in the store yet
    python -m benchmarks.transfer_channels --summary             # the table of docs/evaluation.md

The teachers are those of ``proctor reproduce digits`` (its ``--work`` keeps them), the trigger is given, and
the budget standard. Data-free channels are measured on patches, from the checkpoint alone; ``vanilla`` learns
from the clean test images, and is measured on those of them that it does not see. One thread.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from benchmarks.statistics_distance import find
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.lab.data import LabData, load_lab_data
from models.lab.json_lines import append_line, read_lines
from models.lab.reproduction.budgets import PAPERS_FAST
from models.lab.reproduction.cell import Cell
from models.lab.reproduction.store import Store
from models.lab.reproduction.tables import find_table
from models.lab.reproduction.teachers import Folders
from models.probes.effort import EFFORTS
from models.probes.probe_images import probe_images
from models.probes.transfer import Suspicion, transfer_probe
from models.recipes.job import Recipe
from models.recipes.ood import OodRecipe
from models.recipes.probe import Channel, ProbeRecipe
from models.results.audit import TransferResult
from models.triggers import Trigger

MEASURED = Path(__file__).resolve().parent / "measured"
STORE, STUDENTS = MEASURED / "transfer-channels-digits.jsonl", MEASURED / "digits-small.jsonl"
SIDE, EFFORT = 16, EFFORTS["standard"]
BASE = Recipe(ood=OodRecipe(patch_style="strokes"))
#: What is asked: the channel, and the recipe that it is cut from.
ASKED: Mapping[str, tuple[Channel, Recipe]] = {
    "ood": ("ood", BASE),
    "vanilla": ("vanilla", BASE),
    "zskt": ("zskt", BASE),
    "cmi": ("cmi", BASE),
    "fast": ("fast", BASE),
    "fast, raw distance": ("fast", replace(BASE, fast=PAPERS_FAST)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("out/transfer_channels"))
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.summary:
        data = load_lab_data("digits", None, size=SIDE)
        folders = Folders(options.work, data=json.dumps(data.sha256, sort_keys=True))
        done = {entry["row"] for entry in read_lines(options.store)}
        for cell in (cell for cell in teachers() if cell.row not in done):
            entry = measure(cell, data, folders)
            append_line(options.store, entry)
            print(cell.row, {name: told["hazard"] for name, told in entry["asked"].items()}, flush=True)
    print(summary(list(read_lines(options.store))))


def teachers() -> Iterator[Cell]:
    """Yield one cell of each teacher."""
    for cell in find_table("digits", "small").cells:
        if isinstance(cell, Cell) and cell.column == "ood/none" and cell.seed == 0:
            yield cell


def measure(cell: Cell, data: LabData, folders: Folders) -> dict[str, Any]:
    suspect = find(cell, data, folders)
    trigger = cast(Trigger, suspect.trigger)
    suspicion = Suspicion(trigger, (trigger.target_label + 5) % suspect.teacher.spec.num_classes)
    asked = {}
    for name, (channel, base) in ASKED.items():
        given = AuditData(images=data.test.images) if channel == "vanilla" else AuditData()
        images = probe_images(given, size=SIDE, patches=EFFORT.surrogate_images, style="strokes", seed=0)
        recipe = replace(base, probe=ProbeRecipe(channels=(channel,)))
        matrix = transfer_probe(
            suspect.teacher,
            [suspicion],
            images,
            given,
            recipe,
            most_images=EFFORT.transfer_images,
            monitor=SilentMonitor(),
        )
        asked[name] = told(matrix.cells[0], matrix.channels[0].seconds)
    return {"row": cell.row, "asked": asked}


def told(cell: TransferResult, seconds: float) -> dict[str, Any]:
    clean = cell.student_clean_rate
    return {
        "hazard": cell.hazard,
        "success": cell.student_success.value,
        "control": cell.control_success.value,
        "clean_rate": None if clean is None else clean.value,
        "agreement": cell.student_agreement,
        "images": cell.images_seen,
        "seconds": round(seconds, 1),
    }


def summary(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the table: hazard, success and agreement of each throw-away student, beside full students."""
    students = {(each.row, each.column, each.seed): each for each in Store(STUDENTS).cells.values()}
    lines = ["| trigger | " + " | ".join(ASKED) + " |", "| --- |" + " --- |" * len(ASKED)]
    for entry in entries:
        answers = []
        for name, (channel, _) in ASKED.items():
            answer = entry["asked"][name]
            text = f"`{answer['hazard']}` {answer['success']:.2f}, agrees {answer['agreement']:.2f}"
            # The table's students by the fast method have the paper's distance.
            full = None if name == "fast" else students.get((entry["row"], f"{channel}/none", 0))
            if full is not None and full.attack_success is not None:
                text += f" (full: {full.attack_success.value:.2f})"
            answers.append(text)
        lines.append(f"| {entry['row']} | " + " | ".join(answers) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
