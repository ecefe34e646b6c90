"""What is left to do of a job, and what its process needs for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.core.errors import NotFound
from app.core.settings import Settings
from app.core.states import STAGES, JobKind, Stage
from app.db.tables import Dataset, Job, StageOutput, Teacher
from app.services import stages, uploads
from worker.child_job import INPUTS
from worker.worker_context import WorkerContext

TEACHER = f"{INPUTS}/teacher.safetensors"
UPLOAD = f"{INPUTS}/upload"


@dataclass(frozen=True)
class Plan:
    """The rest of a job."""

    stages: tuple[Stage, ...]
    """Those that are not done, in order."""
    description: dict[str, Any]
    """For ``worker.child_job``, but for the calibration."""
    inputs: dict[str, str]
    """SHA-256 of the blobs the process needs, by path in its folder."""
    timeout_s: float


def make_plan(session: Session, job_id: str, context: WorkerContext) -> Plan:
    """Read what a claimed job needs.

    Raises:
        NotFound: The teacher or a dataset was deleted meanwhile.
    """
    # No file is read here: a folder over the network would keep the session, and the lease unrenewed.
    job = session.get_one(Job, job_id)
    outputs = {output.stage: output for output in stages.finished(session, job_id)}
    left = tuple(stage for stage in STAGES[job.kind] if stage not in outputs)
    inputs: dict[str, str] = {}
    description = {
        "facts": _facts(job),
        "stages": left,
        "recipe": job.recipe,
        "triggers": job.triggers,
        "teacher": _teacher(session, job, inputs),
        "data": _data(session, job, inputs),
        "upload": _upload(session, job, inputs),
        "threads": context.threads,
        "checkpoint_s": context.settings.checkpoint_s,
        "bounds": _bounds(context.settings),
        "outputs": {stage: _output(output, inputs) for stage, output in outputs.items()},
    }
    settings = context.settings
    limit = settings.inspect_timeout_s if job.kind == JobKind.INSPECT else settings.job_timeout_s
    return Plan(left, description, inputs, job.timeout_s or limit)


def _bounds(settings: Settings) -> dict[str, Any]:
    return {
        "sandbox": settings.sandbox,
        "memory_bytes": settings.max_job_memory_bytes,
        "scratch_bytes": settings.max_scratch_bytes,
    }


def _facts(job: Job) -> dict[str, Any]:
    moments = {"created_at": job.created_at, "started_at": job.started_at}
    return {
        "id": job.id,
        "kind": job.kind,
        "attempt": job.attempt,
        "device": job.device,
        **{name: None if moment is None else moment.isoformat() for name, moment in moments.items()},
    }


def _teacher(session: Session, job: Job, inputs: dict[str, str]) -> dict[str, Any]:
    if job.kind == JobKind.INSPECT:
        return {}
    teacher = None if job.teacher_id is None else session.get(Teacher, job.teacher_id)
    if teacher is None or teacher.canonical_sha256 is None:
        raise NotFound("teacher")
    inputs[TEACHER] = teacher.canonical_sha256
    return {"filename": teacher.filename, "inspection": teacher.inspection, "path": TEACHER}


def _data(session: Session, job: Job, inputs: dict[str, str]) -> dict[str, Any]:
    described = {}
    for use, dataset_id in job.data.items():
        if dataset_id is None:
            continue
        dataset = session.get(Dataset, dataset_id)
        if dataset is None or dataset.canonical_sha256 is None:
            raise NotFound("dataset")
        path = f"{INPUTS}/{use}.safetensors"
        inputs[path] = dataset.canonical_sha256
        described[use] = {
            "filename": dataset.filename,
            "role": dataset.role,
            "inspection": dataset.inspection,
            "path": path,
        }
    return described


def _upload(session: Session, job: Job, inputs: dict[str, str]) -> dict[str, Any]:
    upload = uploads.inspected(session, job)
    if upload is None:
        if job.kind == JobKind.INSPECT:
            raise NotFound("upload")
        return {}
    inputs[UPLOAD] = upload.sha256
    if isinstance(upload, Teacher):
        return {"table": "teacher", "path": UPLOAD, "filename": upload.filename, "declared": upload.declared}
    return {"table": "dataset", "path": UPLOAD, "filename": upload.filename, "role": upload.role}


def _output(output: StageOutput, inputs: dict[str, str]) -> Mapping[str, Any]:
    files = []
    for file in output.files:
        path = f"{INPUTS}/{output.stage}/{file['name']}"
        inputs[path] = file["sha256"]
        files.append({"name": file["name"], "media_type": file["media_type"], "path": path})
    return {"result": output.result, "files": files}
