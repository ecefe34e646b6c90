"""The process behind ``proctor calibrate``: ``python -P -m models.lab.calibration REQUEST``, a JSON object.

``{"checkpoints", "output", "budget", "patch_style", "surrogates", "task", "images", "declared", "make",
"device", "threads", "sandbox", "json"}``, where ``make`` is null or ``{"count", "data", "first_seed",
"plain"}``; ``plain`` holds what a plain network's recipe changes of the default.
``app.commands.calibrate`` writes it. Its status is the command's exit code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from models.checkpoints.inspect import InspectOptions
from models.engine.device import choose_device
from models.errors import Interrupted
from models.lab.calibration.folder import Calibration
from models.lab.calibration.make import make_references
from models.lab.calibration.variants import variants
from models.lab.data import DIGITS, load_lab_data
from models.lab.ending import ended
from models.lab.watcher import Watcher
from models.probes.calibration.conformal import false_positive_band, smallest_level
from models.probes.calibration.reference_set import ReferenceSet
from models.recipes.from_document import recipe_from
from models.recipes.job import Recipe
from models.recipes.lab import TeacherRecipe, digits_recipe
from models.recipes.ood import OodRecipe
from models.recipes.probe import ProbeRecipe

Request = Mapping[str, Any]
_CANCELED = 130


def main(arguments: list[str]) -> int:
    """Score, write the set, say what became of every file; returns the exit code."""
    request: Request = json.loads(arguments[0])
    return ended(lambda: _answer(request), as_json=request["json"])


def _answer(request: Request) -> int:
    if request["threads"]:
        torch.set_num_threads(request["threads"])
    try:
        Path(request["output"]).parent.mkdir(parents=True, exist_ok=True)
        if request["make"] is not None:
            _make(request)
        calibration = _calibration(request)
        made = calibration.run()
    except Interrupted:
        sys.stderr.write("Stopped. The same command goes on with the next network.\n")
        return _CANCELED
    document = _document(calibration, made)
    sys.stdout.write((json.dumps(document, indent=2) if request["json"] else _text(document)) + "\n")
    return 0


def _make(request: Request) -> None:
    """Train the references that the request asks for, into the folder of checkpoints."""
    wanted, declared, folder = request["make"], request["declared"], Path(request["checkpoints"])
    base = digits_recipe() if wanted["data"] == DIGITS else TeacherRecipe()
    changes = {name: declared[name] for name in ("architecture", "input_size") if name in declared}
    recipe = recipe_from(TeacherRecipe, {**asdict(base), **changes, **wanted["plain"]})
    data = load_lab_data(wanted["data"], None, size=recipe.input_size)
    folder.mkdir(parents=True, exist_ok=True)
    device = choose_device(request["device"])
    watcher = Watcher(folder, json.dumps(data.sha256, sort_keys=True), device)
    make_references(
        folder,
        list(variants(recipe, wanted["count"], wanted["first_seed"])),
        data,
        watch=watcher.watch,
        device=device,
    )


def _calibration(request: Request) -> Calibration:
    output, device = Path(request["output"]), choose_device(request["device"])
    # Scoring keeps no states, so no file is written.
    monitor, _ = Watcher(output.parent, "", device).watch(f"{output.stem}.resume", {})
    declared: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in request["declared"].items()
    }
    return Calibration(
        folder=Path(request["checkpoints"]),
        output=output,
        recipe=Recipe(
            probe=ProbeRecipe(budget=request["budget"], surrogates=request["surrogates"]),
            ood=OodRecipe(patch_style=request["patch_style"]),
        ),
        declared=InspectOptions(**declared),
        images=None if request["images"] is None else Path(request["images"]),
        device=device,
        sandbox=request["sandbox"],
        monitor=monitor,
        task=request["task"],
    )


def _document(calibration: Calibration, made: ReferenceSet) -> dict[str, Any]:
    n = len(made.references)
    return {
        "file": str(calibration.output),
        "name": made.name,
        "sha256": made.sha256,
        "references": n,
        "smallest_p_value": smallest_level(n),
        "band": false_positive_band(n),
        "left_out": [{"file": name, "why": why} for name, why in calibration.left_out],
        "warnings": [{"files": names, "warning": text} for text, names in calibration.warnings.items()],
    }


def _text(document: Mapping[str, Any]) -> str:
    lines = [f"{document['file']}: {document['references']} references, sha256 {document['sha256']}"]
    lines.append(f"smallest p-value they allow: {document['smallest_p_value']:.3f}")
    if document["band"] is None:
        lines.append("too few for a detection at 5 %: an audit says `suspected` at most")
    else:
        low, high = document["band"]
        lines.append(f"at 5 %, their own false-positive rate lies in {low:.1%} to {high:.1%} (90 %)")
    lines += [f"left out: {entry['file']}: {entry['why']}" for entry in document["left_out"]]
    for told in document["warnings"]:
        first, *more = told["files"]
        lines.append(f"warning: {first}{f' and {len(more)} more' if more else ''}: {told['warning']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
