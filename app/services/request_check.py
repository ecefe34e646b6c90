"""What a job request names is there, is ready, and goes together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from app.core.errors import Conflict, FieldError, Invalid
from app.core.states import STAGES, DatasetRole, Stage, UploadStatus
from app.db.tables import Dataset, Teacher
from app.services import uploads
from app.services.job_request import JobRequest
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.default_student import smaller
from models.recipes.trigger_names import TRIGGER_NAMES

ROLES = {
    "labelled": DatasetRole.CLEAN_LABELLED,
    "unlabelled": DatasetRole.CLEAN_UNLABELLED,
    "surrogate": DatasetRole.SURROGATE,
}
_ARCHITECTURE = TypeAdapter(ArchitectureSpec)


def check(session: Session, tenant: str, request: JobRequest, data: dict[str, str | None]) -> None:
    """Look up what the request names, and collect what is wrong with it.

    Args:
        session: Its transaction keeps what the request names.
        tenant: Whose uploads they are.
        request: The job's.
        data: Datasets by what they are for.

    Raises:
        Invalid: ``invalid_request``, with the fields that name things which are missing or do not fit.
        Conflict: ``upload_not_ready``, when something it names is still being inspected.
    """
    teacher = uploads.keep(session, Teacher, tenant, request.teacher_id)
    errors = _faults("/teacher", "teacher", teacher)
    waiting = teacher is not None and teacher.status == UploadStatus.INSPECTING
    for use, dataset_id in data.items():
        if dataset_id is None:
            continue
        dataset = uploads.keep(session, Dataset, tenant, dataset_id)
        errors += _faults(f"/data/{use}", "dataset", dataset)
        if dataset is not None and dataset.role != ROLES[use]:
            errors.append(
                FieldError(f"/data/{use}", f"the dataset's role is {dataset.role}, not {ROLES[use]}")
            )
        waiting = waiting or (dataset is not None and dataset.status == UploadStatus.INSPECTING)
    errors += _trigger_faults(request.triggers, None if teacher is None else teacher.num_classes)
    if teacher is not None and teacher.status == UploadStatus.READY:
        errors += _student_faults(request, teacher)
    if errors:
        raise Invalid(
            "invalid_request", "The job names things that are missing or do not fit.", errors=errors
        )
    if waiting:
        raise Conflict(
            "upload_not_ready", "What the job names is still being inspected.", "Try again in a moment."
        )


def _faults(pointer: str, what: str, upload: Teacher | Dataset | None) -> list[FieldError]:
    if upload is None:
        return [FieldError(pointer, f"there is no such {what}")]
    if upload.status == UploadStatus.REJECTED:
        return [FieldError(pointer, f"this {what} was rejected: {(upload.error or {}).get('detail', '')}")]
    return []


def _trigger_faults(triggers: Sequence[Mapping[str, Any]], num_classes: int | None) -> list[FieldError]:
    """Say which triggers are unknown, or lead to no class of the teacher where its classes are known."""
    errors = []
    for index, trigger in enumerate(triggers):
        name = trigger.get("catalog")
        if name is not None and name not in TRIGGER_NAMES:
            told = f"there is no built-in trigger {name!r}; there are {', '.join(TRIGGER_NAMES)}"
            errors.append(FieldError(f"/triggers/{index}/catalog", told))
        if num_classes is not None and not 0 <= trigger["target_label"] < num_classes:
            told = f"the teacher has the classes 0 to {num_classes - 1}"
            errors.append(FieldError(f"/triggers/{index}/target_label", told))
    return errors


def _student_faults(request: JobRequest, teacher: Teacher) -> list[FieldError]:
    """Say that a student has to be named where no smaller network is known: a worker would, hours later."""
    named = request.recipe.get("student", {}).get("architecture")
    if named is not None or Stage.DISTILL not in STAGES[request.kind]:
        return []
    try:
        smaller(_ARCHITECTURE.validate_python((teacher.inspection or {})["architecture"]))
    except RecipeError as error:
        return [FieldError("/recipe/student/architecture", f"{error.detail} {error.hint}")]
    return []
