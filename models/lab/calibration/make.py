"""Training clean references, one file each; what is there is not trained again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from models.lab.calibration.variants import Variant
from models.lab.data import LabData
from models.lab.output import teacher_document, write_teacher
from models.lab.recipe_digest import digest
from models.lab.teachers import make_teacher
from models.lab.watcher import Watch


def make_references(
    folder: Path, wanted: Sequence[Variant], data: LabData, *, watch: Watch, device: torch.device
) -> list[Path]:
    """Train what is missing; a file is named by kind and seed, in a folder of its kind.

    Args:
        folder: Made if need be. A state that ``watch`` keeps here is deleted when its network is written.
        wanted: From ``variants``.
        data: Clean images; the test half is measured on and chooses nothing.
        watch: Makes the monitor of each training.
        device: Where to compute.

    Returns:
        The files, in the order of ``wanted``.

    Raises:
        Interrupted: A monitor asked to stop; what is finished stays.
        TrainingFailed: If a loss is not finite.
    """
    paths = []
    for variant in wanted:
        recipe = variant.recipe
        path = folder / variant.kind / f"{recipe.architecture}-{recipe.seed:04}.safetensors"
        paths.append(path)
        known = teacher_document(path) or {}
        wanted_document = json.loads(json.dumps(asdict(recipe)))
        if known.get("recipe") == wanted_document and known["data"]["sha256"] == data.sha256:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        state = f"{path.stem}-{digest(recipe)}.resume"
        monitor, resume = watch(state, recipe)
        made = make_teacher(recipe, data.training, data.test, monitor=monitor, resume=resume, device=device)
        write_teacher(made, data, path.parent, path.stem)
        (folder / state).unlink(missing_ok=True)
    return paths
