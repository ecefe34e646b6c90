"""What teachers and datasets have in common: received, inspected, used, deleted."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from app.core.errors import Conflict, NotFound
from app.core.inspection_faults import INSPECTION_FAULTS
from app.core.states import JobKind, JobStatus, UploadStatus
from app.db.tables import Dataset, Job, Teacher

UploadRow = TypeVar("UploadRow", Teacher, Dataset)

LIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


def get(session: Session, table: type[UploadRow], tenant: str, upload_id: str) -> UploadRow:
    """Return a tenant's teacher or dataset.

    Raises:
        NotFound: There is none of that identifier, or it is another tenant's.
    """
    found = session.scalar(select(table).where(table.tenant == tenant, table.id == upload_id))
    if found is None:
        raise NotFound(table.__name__.lower())
    return found


def keep(session: Session, table: type[UploadRow], tenant: str, upload_id: str) -> UploadRow | None:
    """Return a tenant's upload, if it is there, and let nobody delete it before the transaction ends.

    For those who are about to submit a job that needs it.
    """
    query = select(table).where(table.tenant == tenant, table.id == upload_id)
    return session.scalar(query.with_for_update(read=True, key_share=True))


def lock(session: Session, table: type[UploadRow], tenant: str, upload_id: str) -> UploadRow:
    """Return a tenant's upload as it is now, and let nobody change it before the transaction ends.

    For those who look at it before they delete it.

    Raises:
        NotFound: There is none of that identifier, or it is another tenant's.
    """
    query = select(table).where(table.tenant == tenant, table.id == upload_id)
    found = session.scalar(query.with_for_update())
    if found is None:
        raise NotFound(table.__name__.lower())
    return found


def delete(session: Session, upload: Teacher | Dataset) -> None:
    """Delete an upload with its inspection; upkeep deletes the files that nothing refers to any more.

    Whoever submits a job that needs it has either committed it before it is looked for here, or finds the
    upload gone: no foreign key says which datasets a job needs.

    Raises:
        NotFound: Somebody else has deleted it meanwhile.
        Conflict: ``upload_in_use``, when a job that has not ended needs it.
    """
    table = type(upload)
    if session.scalar(select(table.id).where(table.id == upload.id).with_for_update()) is None:
        raise NotFound(table.__name__.lower())
    if session.scalar(select(Job.id).where(_uses(upload), Job.status.in_(LIVE)).limit(1)) is not None:
        raise Conflict(
            "upload_in_use", "A job that has not finished uses it.", "Cancel that job, or wait until it ends."
        )
    if upload.job_id is not None:
        inspection = session.get(Job, upload.job_id)
        if inspection is not None:
            session.delete(inspection)
    session.delete(upload)


def inspected(session: Session, job: Job) -> Teacher | Dataset | None:
    """Return what an ``inspect`` job is about; None for other jobs, or when it was deleted."""
    if job.kind != JobKind.INSPECT:
        return None
    if job.teacher_id is not None:
        return session.get(Teacher, job.teacher_id)
    return None if job.dataset_id is None else session.get(Dataset, job.dataset_id)


def reject(session: Session, job: Job, error: dict[str, Any]) -> None:
    """Mark what ``job`` inspected as rejected, with a hint for its sender; other jobs reject nothing."""
    upload = inspected(session, job)
    if upload is not None:
        upload.status = UploadStatus.REJECTED
        hint = INSPECTION_FAULTS.get(str(error.get("code")))
        upload.error = error if hint is None else {**error, "hint": hint}


def _uses(upload: Teacher | Dataset) -> ColumnElement[bool]:
    if isinstance(upload, Teacher):
        return Job.teacher_id == upload.id
    named = (Job.data[use].as_string() == upload.id for use in ("labelled", "unlabelled", "surrogate"))
    return or_(Job.dataset_id == upload.id, *named)
