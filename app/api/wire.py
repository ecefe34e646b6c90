"""Rows as wire documents, with their links."""

from __future__ import annotations

from pydantic import TypeAdapter

from app.core.states import JobStatus, UploadStatus
from app.db import tables
from app.schemas.artifacts import Artifact, ArtifactLinks
from app.schemas.base import Failure
from app.schemas.datasets import Dataset
from app.schemas.events import Event
from app.schemas.jobs import Job, JobData, JobLinks, Progress
from app.schemas.teachers import Teacher, TeacherOptions
from app.schemas.triggers import TriggerShown
from app.schemas.uploads import Links
from models.results.inspection import CheckpointInspection, DatasetInspection

#: For what another version of a worker found. Within a wire type its unknown fields would be refused, and one
#: teacher of before an update fail its whole page.
_CHECKPOINT, _DATASET = TypeAdapter(CheckpointInspection), TypeAdapter(DatasetInspection)

_FIRST_RETRY_S = 2
_LAST_RETRY_S = 30


def failure(error: dict[str, object] | None) -> Failure | None:
    """Return why something failed, in the wire form."""
    if error is None:
        return None
    return Failure(
        code=str(error.get("code", "internal_error")),
        detail=str(error.get("detail", "")),
        hint=str(error.get("hint", "")),
    )


def teacher(row: tables.Teacher) -> Teacher:
    """Return a teacher's document."""
    ready = row.status is UploadStatus.READY and row.inspection is not None
    return Teacher(
        id=row.id,
        filename=row.filename,
        status=row.status,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        declared=TeacherOptions.model_validate(row.declared),
        inspection=_CHECKPOINT.validate_python(row.inspection) if ready else None,
        error=failure(row.error),
        created_at=row.created_at,
        links=Links(self=f"/v1/teachers/{row.id}"),
    )


def dataset(row: tables.Dataset) -> Dataset:
    """Return a dataset's document."""
    ready = row.status is UploadStatus.READY and row.inspection is not None
    return Dataset(
        id=row.id,
        filename=row.filename,
        role=row.role,
        status=row.status,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        inspection=_DATASET.validate_python(row.inspection) if ready else None,
        error=failure(row.error),
        created_at=row.created_at,
        links=Links(self=f"/v1/datasets/{row.id}"),
    )


def job(row: tables.Job, student_artifact_id: str | None = None) -> Job:
    """Return a job's document.

    Args:
        row: The job.
        student_artifact_id: Weights of the student to take, if there is one.
    """
    return Job(
        id=row.id,
        kind=row.kind,
        status=row.status,
        stage=row.stage,
        progress=_progress(row),
        teacher=row.teacher_id,
        data=JobData.model_validate(row.data),
        triggers=[_trigger(trigger) for trigger in row.triggers],
        recipe=row.recipe,
        device=row.device,
        timeout_s=row.timeout_s,
        labels=row.labels,
        attempt=row.attempt,
        retry_of=row.retry_of,
        cancel_requested=row.cancel_requested,
        verdict=row.verdict,
        target_label=row.target_label,
        accepted=row.accepted,
        result=row.result,
        error=failure(row.error),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        links=_job_links(row, student_artifact_id),
    )


def _progress(row: tables.Job) -> Progress | None:
    if row.progress_done is None or row.progress_total is None:
        return None
    return Progress(done=row.progress_done, total=row.progress_total, eta_s=row.progress_eta_s)


def _trigger(trigger: dict[str, object]) -> TriggerShown:
    shown = {name: value for name, value in trigger.items() if name in TriggerShown.model_fields}
    if trigger.get("catalog") is not None:
        shown["kind"] = None  # what is stored is the default for pictures
    return TriggerShown.model_validate(shown)


def _job_links(row: tables.Job, student_artifact_id: str | None) -> JobLinks:
    here = f"/v1/jobs/{row.id}"
    return JobLinks(
        self=here,
        teacher=f"/v1/teachers/{row.teacher_id}" if row.teacher_id else None,
        events=f"{here}/events",
        artifacts=f"{here}/artifacts",
        cancel=None if row.status.terminal else f"{here}/cancel",
        retry=f"{here}/retry" if row.status in {JobStatus.FAILED, JobStatus.CANCELED} else None,
        report=f"{here}/report" if row.status is JobStatus.SUCCEEDED else None,
        student=f"/v1/artifacts/{student_artifact_id}/content" if student_artifact_id else None,
    )


def retry_after_s(row: tables.Job) -> int | None:
    """Return when to ask for this job again: a tenth of what is left, within limits; None when finished."""
    if row.status.terminal:
        return None
    return round(min(max((row.progress_eta_s or 0.0) / 10, _FIRST_RETRY_S), _LAST_RETRY_S))


def event(row: tables.Event) -> Event:
    """Return an event's document."""
    return Event(seq=row.seq, type=row.kind, data=row.data, created_at=row.created_at)


def artifact(row: tables.Artifact) -> Artifact:
    """Return an artifact's document."""
    return Artifact(
        id=row.id,
        job=row.job_id,
        stage=row.stage,
        name=row.name,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        created_at=row.created_at,
        links=ArtifactLinks(content=f"/v1/artifacts/{row.id}/content", job=f"/v1/jobs/{row.job_id}"),
    )
