"""Jobs: submitted, listed, canceled, retried."""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, literal, select, update
from sqlalchemy.orm import Session, defer
from sqlalchemy.orm.attributes import set_committed_value

from app.core.errors import Conflict, NotFound
from app.core.ids import new_id
from app.core.states import EventKind, JobKind, JobStatus
from app.db.tables import Dataset, Job, StageOutput, Teacher
from app.db.types import FreeForm, db_now, without_member
from app.infra import queue
from app.services import endings, events, leases, request_check, uploads
from app.services.job_request import JobRequest
from app.services.pages import Page, newest_first
from app.services.principal import Principal


def submit(session: Session, principal: Principal, request: JobRequest) -> Job:
    """Queue a job; its id is sent to the queue once the transaction has committed.

    Raises:
        Invalid: ``invalid_request``, with the fields that name things which are missing or do not fit.
        Conflict: ``upload_not_ready``, when something it names is still being inspected.
    """
    data = {
        "labelled": request.labelled_id,
        "unlabelled": request.unlabelled_id,
        "surrogate": request.surrogate_id,
    }
    request_check.check(session, principal.tenant, request, data)
    return _queue(
        session,
        Job(
            id=new_id("job"),
            tenant=principal.tenant,
            kind=request.kind,
            teacher_id=request.teacher_id,
            data=data,
            triggers=[dict(trigger) for trigger in request.triggers],
            recipe=dict(request.recipe),
            device=request.device,
            timeout_s=request.timeout_s,
            labels=dict(request.labels),
        ),
    )


def submit_inspection(session: Session, upload: Teacher | Dataset) -> Job:
    """Queue the inspection of an upload."""
    job = Job(id=new_id("job"), tenant=upload.tenant, kind=JobKind.INSPECT)
    if isinstance(upload, Teacher):
        job.teacher_id = upload.id
    else:
        job.dataset_id = upload.id
    return _queue(session, job)


def get(session: Session, tenant: str, job_id: str) -> Job:
    """Return one job.

    Raises:
        NotFound: There is none of that identifier for this tenant.
    """
    found = session.scalar(select(Job).where(Job.tenant == tenant, Job.id == job_id))
    if found is None:
        raise NotFound("job")
    return found


def status_of(session: Session, tenant: str, job_id: str) -> JobStatus:
    """Return where a job stands, and read no more of its row, which can hold megabytes.

    Raises:
        NotFound: There is none of that identifier for this tenant.
    """
    found = session.scalar(select(Job.status).where(Job.tenant == tenant, Job.id == job_id))
    if found is None:
        raise NotFound("job")
    return found


def page(
    session: Session,
    tenant: str,
    *,
    status: JobStatus | None = None,
    kind: JobKind | None = None,
    label: tuple[str, str] | None = None,
    after: str | None = None,
    limit: int = 20,
) -> Page[Job]:
    """Return a page of jobs, newest first; inspections only when ``kind`` asks for them.

    Their triggers come without pictures: those of a hundred jobs can be 280 MB.
    """
    query = select(Job).where(Job.tenant == tenant).options(defer(Job.triggers, raiseload=True))
    query = query.where(Job.kind != JobKind.INSPECT if kind is None else Job.kind == kind)
    if status is not None:
        query = query.where(Job.status == status)
    if label is not None:
        query = query.where(Job.labels[label[0]].as_string() == label[1])
    found = newest_first(session, query, Job.id, after, limit)
    named = select(Job.id, without_member(Job.__table__.c.triggers, "png"))
    rows = session.execute(named.where(Job.id.in_([job.id for job in found.rows])))
    by_id: dict[str, list[dict[str, Any]]] = {row[0]: row[1] for row in rows}
    for job in found.rows:  # only inspections, which have none, can have been deleted since
        set_committed_value(job, "triggers", by_id.get(job.id, []))
    return found


def cancel(session: Session, tenant: str, job_id: str) -> Job:
    """Cancel a job: a queued one at once, a running one at its next step boundary; a finished one not.

    One statement decides, so that a claim, a reap or an ending at the same moment is before or after it.

    Raises:
        NotFound: There is none of that identifier for this tenant.
        Conflict: ``job_not_cancelable``, for inspections.
    """
    if get(session, tenant, job_id).kind == JobKind.INSPECT:
        hint = "Wait until it ends, then delete the upload."
        raise Conflict("job_not_cancelable", "Inspections cannot be canceled.", hint)
    queued = Job.status == JobStatus.QUEUED
    status = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING)))
        .values(
            cancel_requested=True,
            status=case((queued, JobStatus.CANCELED), else_=Job.status),
            error=case((queued, literal(leases.CANCELED, FreeForm)), else_=Job.error),
            finished_at=case((queued, db_now()), else_=Job.finished_at),
        )
        .returning(Job.status)
        .execution_options(synchronize_session=False)
    ).scalar()
    if status == JobStatus.CANCELED:
        endings.tell(session, job_id)
    session.expire_all()
    return get(session, tenant, job_id)


def retry(session: Session, tenant: str, job_id: str) -> Job:
    """Submit a failed or canceled job again, as a new job that keeps the stages which were finished.

    Raises:
        NotFound: There is none of that identifier for this tenant.
        Conflict: ``job_not_finished``; ``job_not_retryable``, when it succeeded, was an inspection, or its
            teacher or one of its datasets is gone.
    """
    job = get(session, tenant, job_id)
    if not job.status.terminal:
        raise Conflict(
            "job_not_finished", f"The job is {job.status}.", "Cancel it first, or wait until it ends."
        )
    if job.status == JobStatus.SUCCEEDED or job.kind == JobKind.INSPECT:
        raise Conflict("job_not_retryable", f"The {job.kind} job is {job.status}.", "Submit a new job.")
    _keep_uploads(session, job)
    copied = ("tenant", "kind", "teacher_id", "data", "triggers", "recipe", "device", "timeout_s", "labels")
    again = Job(id=new_id("job"), retry_of=job.id, **{name: getattr(job, name) for name in copied})
    _queue(session, again)
    for output in session.scalars(select(StageOutput).where(StageOutput.job_id == job.id)):
        session.add(
            StageOutput(
                job_id=again.id, stage=output.stage, attempt=0, result=output.result, files=output.files
            )
        )
    return again


def _keep_uploads(session: Session, job: Job) -> None:
    teacher = None if job.teacher_id is None else uploads.keep(session, Teacher, job.tenant, job.teacher_id)
    wanted = [dataset_id for dataset_id in job.data.values() if dataset_id is not None]
    datasets = [uploads.keep(session, Dataset, job.tenant, dataset_id) for dataset_id in wanted]
    if teacher is None or None in datasets:
        what = "teacher" if teacher is None else "dataset"
        raise Conflict(
            "job_not_retryable", f"The job's {what} was deleted.", "Upload it again, submit a new job."
        )


def _queue(session: Session, job: Job) -> Job:
    session.add(job)
    session.flush()
    events.append(session, job.id, EventKind.STATUS, {"status": JobStatus.QUEUED, "attempt": 0})
    queue.ring(session, job)
    session.flush()
    session.refresh(job)
    return job
