"""What ABD's student becomes under other settings of Self-Retrospection: docs/results.md.

    python benchmarks/retrospection.py digits badnets_grid,badnets_square '{}' '{"shape": "dense"}'
    python benchmarks/retrospection.py abd-t2-ood trojan_wm '{"weight": 2}' --data cifar10 --patterns triggers

Each JSON object changes fields of ``RetrospectionRecipe`` from what the table takes. The teachers are those
of ``proctor reproduce`` with the same ``--work``; nothing enters its store, because settings that were chosen
by looking at attack success must not stand in a table.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from models.data.photographs import read_photograph  # noqa: E402
from models.engine.monitor import SilentMonitor  # noqa: E402
from models.lab.data import DIGITS, load_lab_data  # noqa: E402
from models.lab.reproduction.cell import Cell, Measured  # noqa: E402
from models.lab.reproduction.run import measure  # noqa: E402
from models.lab.reproduction.tables import find_table  # noqa: E402
from models.lab.reproduction.teachers import Folders, lab_suspect  # noqa: E402
from models.recipes.lab import TeacherRecipe  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", help="of proctor reproduce; its teachers must be the lab's")
    parser.add_argument("rows", help="teachers, joined by commas")
    parser.add_argument("settings", nargs="+", help="changed fields as JSON objects")
    parser.add_argument("--method", default="ood")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("out/reproduce"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--patterns", type=Path)
    parser.add_argument("--photograph", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    table = find_table(options.table, "small")
    data = load_lab_data(options.data or DIGITS, None, size=16 if table.data == "digits" else 32)
    photographs = [] if options.photograph is None else [read_photograph(options.photograph)]
    folders = Folders(options.work, options.patterns)
    for row in options.rows.split(","):
        cell = next(
            cell
            for cell in table.cells
            if isinstance(cell, Cell)
            and (cell.row, cell.column, cell.seed) == (row, f"{options.method}/abd", options.seed)
        )
        assert isinstance(cell.teacher, TeacherRecipe), f"{row} is a public checkpoint"
        suspect = lab_suspect(
            cell.teacher,
            data.training,
            data.test,
            folders,
            monitor=SilentMonitor(),
            resume=None,
            device=torch.device("cpu"),
        )
        for settings in options.settings:
            changed = with_settings(cell, json.loads(settings))
            found = measure(changed, suspect, data.training, data.test, photographs, monitor=SilentMonitor())
            print(line(row, settings, found), flush=True)


def with_settings(cell: Cell, settings: dict[str, object]) -> Cell:
    """Return the cell with other settings of retrospection."""
    abd = cell.recipe.abd
    retrospection = replace(abd.retrospection, **settings)  # type: ignore[arg-type]
    return replace(cell, recipe=replace(cell.recipe, abd=replace(abd, retrospection=retrospection)))


def line(row: str, settings: str, found: Measured) -> str:
    """Write a row of a Markdown table: accuracy, attack success, clean target rate, last decision."""
    rates = [found.clean_accuracy, found.attack_success, found.clean_target_rate]
    shares = " / ".join(f"{rate.value:.3f}" for rate in rates if rate is not None)
    last = found.decisions[-1] if found.decisions else ""
    return f"| {row} | `{settings}` | {shares} | {found.seconds:.0f} s | {last} |"


if __name__ == "__main__":
    main()
