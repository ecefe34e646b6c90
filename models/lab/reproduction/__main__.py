"""The process behind ``proctor reproduce``: ``python -P -m models.lab.reproduction REQUEST``, a JSON object.

``{"table", "budget", "data", "work", "store", "write", "patterns", "checkpoints", "photographs", "minutes",
"only", "device", "threads", "json"}``; ``app.commands.reproduce`` writes it. Its status is the command's exit
code.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from models.data.photographs import read_photograph
from models.engine.device import choose_device
from models.errors import DataRejected, Interrupted, RecipeError
from models.lab.data import DIGITS, LabData, load_lab_data
from models.lab.ending import ended
from models.lab.reproduction.page import put_section, render_table
from models.lab.reproduction.pictures import picture_digests
from models.lab.reproduction.run import finished, run_table
from models.lab.reproduction.store import Store
from models.lab.reproduction.tables import Table, find_table
from models.lab.reproduction.teachers import Folders
from models.lab.watcher import Watcher

Request = Mapping[str, Any]
_SIZES = {"digits": 16, "cifar10": 32}
#: Of CIFAR-10.
_CLASSES = 10
_CANCELED = 130


def main(arguments: list[str]) -> int:
    """Run what the request says, write the table; returns the exit code."""
    request: Request = json.loads(arguments[0])
    return ended(lambda: _answer(request), as_json=request["json"])


def _answer(request: Request) -> int:
    table = find_table(request["table"], request["budget"])
    store = Store(Path(request["store"]))
    code = _run(table, store, request)
    command = f"proctor reproduce {table.name} --budget {request['budget']}"
    section = render_table(table, store, command)
    document = _document(table, store, request, section) if request["json"] else None
    if document is None:
        sys.stdout.write(section)
    if request["write"] is not None:
        page = Path(request["write"])
        text = page.read_text("utf-8") if page.exists() else ""
        page.write_text(put_section(text, f"{table.name} {request['budget']}", section), "utf-8")
    if document is not None:  # an error is the only document then
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    return code


def _document(table: Table, store: Store, request: Request, section: str) -> dict[str, Any]:
    """Give the table to a program: what was measured, what is missing, and the section as it is printed."""
    found = {cell.key: store.find(cell) for cell in table.cells}
    return {
        "table": table.name,
        "budget": request["budget"],
        "store": str(store.path),
        "measured": [asdict(cell) for cell in found.values() if cell is not None],
        "missing": [key for key, cell in found.items() if cell is None],
        "markdown": section,
    }


def _run(table: Table, store: Store, request: Request) -> int:
    """Measure what is missing; 0 if the table is complete or the time is over, 130 if a signal came."""
    if request["minutes"] == 0:
        return 0
    if request["threads"]:
        torch.set_num_threads(request["threads"])
    data = _data(table, request)
    digests = json.dumps(data.sha256, sort_keys=True)
    folders = Folders(
        Path(request["work"]), _folder(request["patterns"]), _folder(request["checkpoints"]), digests
    )
    (folders.work / "running").mkdir(parents=True, exist_ok=True)
    pictures = picture_digests(table.cells, folders.patterns)
    of = digests if not pictures else json.dumps([data.sha256, pictures], sort_keys=True)
    device = choose_device(request["device"])
    watcher = Watcher(folders.work / "running", of, device)
    minutes = request["minutes"]
    try:
        run_table(
            table,
            data.training,
            data.test,
            store,
            folders,
            watch=watcher.watch,
            photographs=[read_photograph(Path(name)) for name in request["photographs"]],
            device=device,
            only=request["only"],
            deadline=None if minutes is None else time.monotonic() + 60.0 * minutes,
        )
    except Interrupted:
        return _CANCELED
    finally:
        watcher.forget(finished(table, store, folders))
    return 0


def _data(table: Table, request: Request) -> LabData:
    if table.data != "digits" and request["data"] is None:
        raise RecipeError(
            f"The table {table.name} is measured on {table.data}.",
            code="data_missing",
            hint="Name its folder with --data; it holds train.zip and test.zip, or CIFAR's python archive.",
        )
    if table.data == "digits":
        return load_lab_data(DIGITS, None, size=_SIZES[table.data])
    data = load_lab_data(request["data"], None, size=_SIZES[table.data])
    if len(data.classes) != _CLASSES:
        raise DataRejected(
            f"The table {table.name} is measured on {table.data}: ten classes, and {data.name} has "
            f"{len(data.classes)}.",
            code="labels_mismatch",
            hint="CIFAR-100 is another data set; give --data that of the table.",
        )
    return data


def _folder(name: str | None) -> Path | None:
    return None if name is None else Path(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
