"""What the lab leaves: a teacher that says how to use it, its trigger, and a recipe that makes both again."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from models.checkpoints.save import save_student
from models.engine.precision import bfloat16_pays
from models.lab.data import LabData
from models.lab.teachers import LabTeacher
from models.triggers import Trigger, save_trigger_png

_PACKAGES = ("proctor", "torch", "numpy")


def write_teacher(made: LabTeacher, data: LabData, folder: Path, name: str) -> dict[str, Any]:
    """Write ``NAME.safetensors``, ``NAME.recipe.json`` and, with a trigger, ``NAME.trigger.png``, ``.json``.

    The recipe goes last: where it lies, everything is whole. A former one of this name is deleted before
    anything is written, and so is that teacher's trigger.

    Args:
        made: From ``make_teacher``.
        data: What it was made of.
        folder: Exists.
        name: Stem of the files.

    Returns:
        What the recipe file holds.
    """
    teacher = made.teacher
    path = folder / f"{name}.safetensors"
    for former in ("recipe.json", "trigger.json", "trigger.png"):
        (folder / f"{name}.{former}").unlink(missing_ok=True)
    kind = made.recipe.attack.kind
    sha256 = save_student(
        teacher.network, teacher.spec, teacher.normalization, path, {"role": "teacher", "attack": kind}
    )
    spec = teacher.spec
    facts = {
        "architecture": spec.name, "num_classes": spec.num_classes, "input_size": spec.input_size,
        **asdict(teacher.normalization),
    }  # fmt: skip
    document = {
        "recipe": asdict(made.recipe),
        "data": {"name": data.name, "sha256": data.sha256, "classes": list(data.classes)},
        "measured": _measured(made),
        "trigger": None if made.trigger is None else _write_trigger(made.trigger, folder, name),
        "teacher": {"file": path.name, "sha256": sha256, **facts},
        "training": {
            "images": made.training_images,
            "poisoned": made.poisoned,
            "seconds": round(made.seconds, 1),
            "last": made.curve[-1].values if made.curve else {},
        },
        "made_with": _made_with(made),
    }
    _write(folder / f"{name}.recipe.json", document)
    return document


def teacher_document(path: Path) -> dict[str, Any] | None:
    """Return what ``write_teacher`` wrote beside a checkpoint.

    Args:
        path: Of the checkpoint.

    Returns:
        None if there is no recipe file, or it is of another file than this one.
    """
    try:
        document = json.loads(path.with_suffix(".recipe.json").read_text("utf-8"))
        named = document["teacher"]["sha256"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    own = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return dict(document) if named == own else None


def _measured(made: LabTeacher) -> dict[str, Any]:
    rates = {
        "clean_accuracy": made.clean_accuracy,
        "attack_success": made.attack_success,
        "clean_target_rate": made.clean_target_rate,
        "other_classes_success": made.other_classes_success,
        "clean_teacher_success": made.clean_teacher_success,
    }
    return {name: None if rate is None else asdict(rate) for name, rate in rates.items()}


def _write_trigger(trigger: Trigger, folder: Path, name: str) -> dict[str, Any]:
    """Write the picture and how to stamp it; alpha is the mask, so its opacity is 1."""
    picture = folder / f"{name}.trigger.png"
    picture.write_bytes(save_trigger_png(trigger))
    document = {
        "name": trigger.name,
        "kind": trigger.kind,
        "opacity": 1.0,
        "target_label": trigger.target_label,
        "file": picture.name,
        "sha256": trigger.sha256,
    }
    _write(folder / f"{name}.trigger.json", document)
    return document


def _made_with(made: LabTeacher) -> dict[str, Any]:
    """Return what else the numbers depend on."""
    device = made.teacher.device
    fast = made.recipe.precision == "fast" and bfloat16_pays(device)
    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}
    return {
        **{package: version(package) for package in _PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device.type,
        **gpu,
        "arithmetic": "bfloat16" if fast else "float32",
        "threads": torch.get_num_threads(),
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    partial.replace(path)
