"""The lab's process, ``python -P -m models.lab REQUEST``: one JSON object as its only argument.

``{"verb": "make", "recipe", "expected", "expected_trigger", "data", "test", "output", "name", "patterns",
"matched_clean", "device", "threads", "json"}`` or ``{"verb": "triggers", "output", "size", "patterns",
"json"}``;
``app.commands.lab`` writes it. A process of its own, because the command line does without torch. Its status
is the command's exit code.
"""

from __future__ import annotations

import hashlib
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from models.engine.device import choose_device
from models.errors import Interrupted
from models.lab.contact_sheet import all_triggers, draw_contact_sheet
from models.lab.data import LabData, load_lab_data
from models.lab.ending import ended
from models.lab.monitor import FileMonitor
from models.lab.output import write_teacher
from models.lab.teachers import LabTeacher, check_attack, make_teacher, matched_clean
from models.lab.workshop import named_trigger
from models.recipes.from_document import recipe_from
from models.recipes.lab import TeacherRecipe
from models.triggers import Trigger

Request = Mapping[str, Any]


def main(arguments: list[str]) -> int:
    """Do what the request says; returns the exit code."""
    request: Request = json.loads(arguments[0])
    return ended(lambda: _answer(request), as_json=request["json"])


def _answer(request: Request) -> int:
    document = make(request) if request["verb"] == "make" else list_triggers(request)
    text = json.dumps(document, indent=2) if request["json"] else _text(document)
    sys.stdout.write(text + "\n")
    return 0


def make(request: Request) -> dict[str, Any]:
    """Make the teacher, and its clean twin if wanted; files appear in the output folder one by one."""
    recipe = recipe_from(TeacherRecipe, request["recipe"])
    if request["threads"]:
        torch.set_num_threads(request["threads"])
    folder = Path(request["output"])
    folder.mkdir(parents=True, exist_ok=True)
    test = None if request["test"] is None else Path(request["test"])
    data = load_lab_data(request["data"], test, size=recipe.input_size)
    if request["expected"] not in (None, data.sha256):
        sys.stderr.write("These are not the images that the recipe file names: the numbers will differ.\n")
    monitors: list[FileMonitor] = []
    twin = None
    documents = {}
    if request["matched_clean"] and recipe.attack.kind != "none":
        check_attack(recipe, data.training, _patterns(request))
        twin = _made(request, matched_clean(recipe), data, monitors, None)
        documents["clean"] = write_teacher(twin, data, folder, f"{request['name']}-clean")
    made = _made(request, recipe, data, monitors, twin)
    documents["teacher"] = write_teacher(made, data, folder, request["name"])
    for monitor in monitors:
        monitor.path.unlink(missing_ok=True)
    return documents


def _made(
    request: Request,
    recipe: TeacherRecipe,
    data: LabData,
    monitors: list[FileMonitor],
    twin: LabTeacher | None,
) -> LabTeacher:
    """Make one teacher, or go on with it; its state stays until everything is written.

    ``monitors`` are those of the teachers before it, to which its own is added: who was told to stop while
    the last of them was measured or written begins no further one.
    """
    device = choose_device(request["device"])
    patterns = _patterns(request)
    stamped = named_trigger(recipe, patterns) if recipe.attack.stamps_named_trigger else None
    _warn_of_another(stamped, request["expected_trigger"])
    trigger = None if stamped is None else stamped.sha256
    facts = json.dumps([asdict(recipe), data.sha256, device.type, trigger], sort_keys=True)
    stem = request["name"] if recipe.attack.kind != "none" else f"{request['name']}-clean"
    path = Path(request["output"]) / f"{stem}.resume"
    monitor = FileMonitor(path, hashlib.sha256(facts.encode()).hexdigest())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(monitor, "stopping", True))
    if any(former.stopping for former in monitors):
        raise Interrupted("The run was asked to stop.", hint="The same command goes on where it was.")
    monitors.append(monitor)
    resume = monitor.resume()
    if resume is not None:
        sys.stderr.write(f"Going on where {path.name} was written.\n")
    return make_teacher(
        recipe,
        data.training,
        data.test,
        monitor=monitor,
        patterns=patterns,
        clean=None if twin is None else twin.teacher,
        resume=resume,
        device=device,
    )


def _warn_of_another(stamped: Trigger | None, expected: Mapping[str, Any] | None) -> None:
    """Say that a recipe file names another trigger; of older files, without digests, only the name counts."""
    if stamped is None or expected is None:
        return
    if (stamped.name, stamped.sha256) != (expected["name"], expected.get("sha256", stamped.sha256)):
        sys.stderr.write(
            f"This trigger, {stamped.name}, is not the one that the recipe file names, "
            f"{expected['name']}: the numbers will differ. "
            "Pictures of published triggers are named with --patterns.\n"
        )


def _patterns(request: Request) -> Path | None:
    return None if request["patterns"] is None else Path(request["patterns"])


def list_triggers(request: Request) -> dict[str, Any]:
    """Describe all triggers, and draw them if a file is wanted."""
    patterns = _patterns(request)
    triggers = all_triggers(request["size"], 0, patterns)
    if request["output"] is not None:
        Path(request["output"]).write_bytes(draw_contact_sheet(triggers))
    return {
        "triggers": [
            {"name": name, "stands_for": trigger.name, "kind": trigger.kind, "area": trigger.mask_area}
            for name, trigger in triggers
        ]
    }


def _text(document: Mapping[str, Any]) -> str:
    if "triggers" in document:
        lines = [f"{'name':<24}{'is':<24}{'kind':<10}share of pixels"]
        lines += [
            f"{entry['name']:<24}{entry['stands_for']:<24}{entry['kind']:<10}{entry['area']:.3f}"
            for entry in document["triggers"]
        ]
        return "\n".join(lines)
    return "\n".join(line for name in document for line in _teacher_lines(document[name]))


def _teacher_lines(document: Mapping[str, Any]) -> list[str]:
    lines = [f"{document['teacher']['file']}  ({document['recipe']['attack']['kind']})"]
    for name, rate in document["measured"].items():
        if rate is not None:
            interval = f"[{rate['low']:.4f}, {rate['high']:.4f}]"
            lines.append(f"  {name.replace('_', ' '):<22} {rate['value']:.4f}  {interval}  n = {rate['n']}")
    teacher = document["teacher"]
    mean, std = (",".join(f"{value:.4f}" for value in teacher[name]) for name in ("mean", "std"))
    lines.append(f"  to declare it: --input-size {teacher['input_size']} --mean {mean} --std {std}")
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
