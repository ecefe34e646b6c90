"""What stages load from a job's folder."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from app.core.artifact_names import RECOVERED_TRIGGERS
from app.core.states import Stage
from models import api
from models.architectures import PixelClassifier, build
from models.checkpoints.load import Teacher, load_teacher
from models.data.bundle import AuditData
from models.data.dataset import load_images, load_photographs
from models.engine.device import choose_device
from models.errors import TrainingFailed
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.job import Recipe
from models.results.inspection import CheckpointInspection
from models.results.teacher_check import TeacherCheck
from models.triggers import Trigger
from models.triggers.catalog import make_trigger
from models.triggers.image_file import load_trigger_png
from worker.child_job import ChildJob, OutputFile
from worker.context import JobMonitor

T = TypeVar("T")
#: Stages that may be a job's first and check whether teacher and images belong together.
_CHECKED_IN = (Stage.PROBE, Stage.DISTILL, Stage.PROTECT)


def revive(kind: type[T], content: Any) -> T:
    """Make a recipe or result again from its JSON form.

    Raises:
        TrainingFailed: ``version_changed``: it does not have that form. It had, for the version of Proctor
            that stored it: jobs wait, and are retried, across updates.
    """
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"])
        raise TrainingFailed(
            f"Another version of Proctor stored something of this job that this one cannot read: {place}.",
            code="version_changed",
            hint="Submit a new job; a retry would meet the same.",
        ) from error


def load_recipe(job: ChildJob) -> Recipe:
    """Read the recipe."""
    return revive(Recipe, job.recipe)


def load_inspection(job: ChildJob) -> CheckpointInspection:
    """Read what the intake found in the teacher."""
    return revive(CheckpointInspection, job.teacher["inspection"])


def load_job_teacher(job: ChildJob) -> Teacher:
    """Load the teacher's weights onto the job's device; whatever is made of it computes there.

    It comes behind the normalization that the job's first stage settled on.

    Raises:
        TrainingFailed: ``gpu_missing``.
    """
    device = choose_device(job.facts["device"])
    teacher = load_teacher(job.teacher["path"], load_inspection(job), device=device)
    return api.settle(teacher, load_teacher_check(job))


@dataclass(frozen=True)
class Subject:
    """What a stage works on."""

    teacher: Teacher
    data: AuditData
    check: TeacherCheck | None
    """Made now; None without labelled images, or when an earlier stage has made it."""


def load_subject(job: ChildJob, monitor: JobMonitor) -> Subject:
    """Load teacher and images; the first stage of a job that does so checks that they belong together.

    Raises:
        TrainingFailed: ``gpu_missing``.
    """
    teacher = load_job_teacher(job)
    data = load_data(job, teacher.spec.input_size)
    if load_teacher_check(job) is not None:
        return Subject(teacher, data, None)
    source = load_inspection(job).normalization_source
    check = api.check_teacher(teacher, data, source, seed=load_recipe(job).seed)
    for warning in check.warnings if check is not None else ():
        monitor.log(warning)
    return Subject(api.settle(teacher, check), data, check)


def load_teacher_check(job: ChildJob) -> TeacherCheck | None:
    """Read the check that an earlier stage made; None without labelled images, or in the first stage."""
    found = ((job.result(stage) or {}).get("teacher_check") for stage in _CHECKED_IN)
    content = next((check for check in found if check is not None), None)
    return None if content is None else revive(TeacherCheck, content)


def load_data(job: ChildJob, size: int) -> AuditData:
    """Load all images the job was given; of two sets of clean ones, the labelled."""
    data = AuditData()
    if "surrogate" in job.data:
        data = replace(data, photographs=load_photographs(job.data["surrogate"]["path"]))
    clean = job.data.get("labelled") or job.data.get("unlabelled")
    if clean is None:
        return data
    images = load_images(clean["path"], size=size)
    labels = images.labels if "labelled" in job.data else None
    return replace(data, images=images.images, labels=labels, classes=images.classes)


def load_given_triggers(job: ChildJob, size: int) -> list[Trigger]:
    """Make the triggers of the request, at the network's input size.

    Raises:
        RecipeError: A catalog name is unknown or does not fit.
        DataRejected: A picture is none.
    """
    return [_given_trigger(trigger, size) for trigger in job.triggers]


def _given_trigger(described: Mapping[str, Any], size: int) -> Trigger:
    name, target, opacity = described["name"], described["target_label"], described.get("opacity")
    if described.get("catalog") is None:
        return load_trigger_png(
            base64.b64decode(described["png"]),
            kind=described["kind"],
            opacity=1.0 if opacity is None else opacity,
            target_label=target,
            name=name,
            size=size,
        )
    trigger = replace(make_trigger(described["catalog"], size, target), name=name)
    return trigger if opacity is None else replace(trigger, mask=trigger.mask * opacity)


def save_triggers(triggers: Sequence[Trigger], path: Path) -> OutputFile:
    """Write triggers with their exact values, which a PNG would round."""
    tensors = {}
    for index, trigger in enumerate(triggers):
        tensors[f"{index}.pattern"] = trigger.pattern.detach().cpu().contiguous()
        tensors[f"{index}.mask"] = trigger.mask.detach().cpu().contiguous()
    described = [
        {"name": trigger.name, "kind": trigger.kind, "target_label": trigger.target_label}
        for trigger in triggers
    ]
    save_file(tensors, path, metadata={"triggers": json.dumps(described)})
    return OutputFile(path.name, "application/octet-stream", path)


def load_recovered_triggers(job: ChildJob) -> list[Trigger]:
    """Read the triggers that the probe stage recovered; none without such a stage."""
    path = job.file(Stage.PROBE, RECOVERED_TRIGGERS)
    if path is None:
        return []
    with safe_open(path, framework="pt") as file:
        described = json.loads(file.metadata()["triggers"])
        return [
            Trigger(
                pattern=file.get_tensor(f"{index}.pattern"), mask=file.get_tensor(f"{index}.mask"), **facts
            )
            for index, facts in enumerate(described)
        ]


def load_student(path: Path, spec: ArchitectureSpec, normalization: Normalization) -> PixelClassifier:
    """Load a student that the distill stage wrote."""
    network = build(spec)
    network.load_state_dict(load_file(path), strict=True)
    return PixelClassifier(network.eval().to(torch.float32), normalization)
