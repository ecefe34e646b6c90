"""``/v1/jobs``: ask for work, watch it, stop it, ask again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api import wire
from app.api.answers import tagged
from app.api.deps import Edge, EdgeDep, KeyFirst, Reader, ReadingSession, Submitter, WritingSession
from app.api.idempotency import Answer, KeyHeader, fingerprint, once
from app.api.openapi import COMMON, LISTED, job_links, problems
from app.api.paging import PageQuery, next_after
from app.api.waiting import poll, preferred_wait_s
from app.core.errors import Unauthenticated
from app.core.states import Device, JobKind, JobStatus
from app.db import tables
from app.db.base import DATABASE_AWAY
from app.schemas.base import JobId, Page
from app.schemas.jobs import Job, JobRequest
from app.services import jobs, keys
from app.services.job_request import JobRequest as ServiceRequest
from app.services.principal import Principal
from app.services.recipe_check import check_recipe

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=KeyFirst)

Id = Annotated[JobId, Path(description="The job.")]
PreferHeader = Annotated[
    str | None,
    Header(
        description="`wait=N` holds the answer back for up to N seconds (at most 60) until the job is over."
    ),
]
_ACCEPTED = {"description": "Accepted; ask for it again, or follow its events", "links": job_links()}


class JobQuery(PageQuery):
    """Which jobs."""

    status: JobStatus | None = None
    kind: JobKind | None = None
    """``inspect`` jobs belong to uploads and are listed only when asked for."""
    label: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}:[^\x00]{0,256}$", examples=["team:vision"]
    )
    """``key:value``."""

    def label_pair(self) -> tuple[str, str] | None:
        """Return key and value."""
        key, _, value = (self.label or "").partition(":")
        return (key, value) if key else None


@router.post(
    "",
    operation_id="create_job",
    summary="Start a job",
    status_code=202,
    response_model=Job,
    responses={
        **COMMON,
        **problems(
            "malformed_body",
            "upload_not_ready",
            "idempotency_key_in_use",
            "body_timed_out",
            "body_too_large",
            "unsupported_media_type",
            "invalid_request",
            "idempotency_key_reused",
            "recipe_invalid",
            "data_missing",
            "storage_full",
        ),
        202: _ACCEPTED,
    },
)
async def create_job(
    *,
    request: Request,
    edge: EdgeDep,
    caller: Submitter,
    asked: JobRequest,
    idempotency_key: KeyHeader = None,
    prefer: PreferHeader = None,
) -> Response:
    """Queue a job. With an Idempotency-Key, repeating the request cannot make a second one.

    A repetition gets the status and body of the first answer, as of the moment the job was made. So does a
    request whose database is lost, or whose key ends, while it waits: the job is there, and an error would
    say that it is not.
    """
    _check_recipe(asked)
    answer, repeated = await run_in_threadpool(_submit, edge, caller, asked, idempotency_key)
    wait_s = preferred_wait_s(prefer)
    if repeated or wait_s == 0:
        return answer.response()
    job_id = answer.headers["Location"].rpartition("/")[2]
    try:
        row, student = await _wait(request, edge, caller, job_id, wait_s)
    except (*DATABASE_AWAY, Unauthenticated):
        return answer.response()
    waited = _accepted(wire.job(row, student), row)
    return Answer(202, waited.body, {**waited.headers, "Preference-Applied": f"wait={wait_s:.0f}"}).response()


def _check_recipe(asked: JobRequest) -> None:
    """Refuse at once what the worker would refuse later.

    Raises:
        RecipeError: With a code and a hint of its own.
    """
    check_recipe(
        JobKind(asked.kind),
        asked.recipe,
        labelled=asked.data.labelled is not None,
        unlabelled=asked.data.unlabelled is not None,
        triggers=len(asked.triggers),
    )


def _submit(edge: Edge, caller: Principal, asked: JobRequest, key: str | None) -> tuple[Answer, bool]:
    wanted = ServiceRequest(
        kind=JobKind(asked.kind),
        teacher_id=asked.teacher,
        labelled_id=asked.data.labelled,
        unlabelled_id=asked.data.unlabelled,
        surrogate_id=asked.data.surrogate,
        triggers=[trigger.model_dump(exclude_none=True) for trigger in asked.triggers],
        recipe=asked.model_dump(mode="json", include={"recipe"})["recipe"],
        device=Device(asked.device),
        timeout_s=asked.timeout_s or edge.settings.job_timeout_s,
        labels=asked.labels,
    )
    with edge.sessions.begin() as session:

        def act() -> Answer:
            row = jobs.submit(session, caller, wanted)
            return _accepted(wire.job(row), row)

        # Without defaults: the next version may have another field, and a repetition is still the same.
        digest = fingerprint("POST", "/v1/jobs", asked.model_dump_json(exclude_defaults=True))
        return once(session, caller.tenant, key, digest, act)


def _accepted(document: Job, row: tables.Job) -> Answer:
    headers = {"Location": document.links.self, "Cache-Control": "no-store", **_retry_after(row)}
    return Answer(202, document.model_dump_json(), headers)


def _retry_after(row: tables.Job) -> dict[str, str]:
    seconds = wire.retry_after_s(row)
    return {} if seconds is None else {"Retry-After": str(seconds)}


async def _wait(
    request: Request, edge: Edge, caller: Principal, job_id: str, wait_s: float
) -> tuple[tables.Job, str | None]:
    def look() -> JobStatus:
        with edge.reading() as session:
            status = jobs.status_of(session, caller.tenant, job_id)
            keys.check_again(session, caller)
            return status

    def read() -> tuple[tables.Job, str | None]:
        with edge.reading() as session:
            row = jobs.get(session, caller.tenant, job_id)
            student = _students(session, [row]).get(row.id)
            keys.check_again(session, caller)
            return row, student

    if wait_s:
        await poll(request, look, lambda status: status.terminal, wait_s)
    return await run_in_threadpool(read)


def _students(session: Session, rows: Iterable[tables.Job]) -> dict[str, str]:
    """Return the artifact of each job's student to take: the defended one, else the only one."""
    finished = [row.id for row in rows if row.status is JobStatus.SUCCEEDED]
    found = session.execute(
        select(tables.Student.job_id, tables.Student.artifact_id)
        .where(tables.Student.job_id.in_(finished), tables.Student.artifact_id.is_not(None))
        .order_by(tables.Student.role.desc())  # "undefended" comes first, so that "defended" replaces it
    )
    return {job_id: artifact_id for job_id, artifact_id in found if artifact_id is not None}


@router.get("", operation_id="list_jobs", summary="List jobs", responses=LISTED)
def list_jobs(session: ReadingSession, caller: Reader, query: Annotated[JobQuery, Query()]) -> Page[Job]:
    """Return jobs, newest first."""
    page = jobs.page(
        session,
        caller.tenant,
        status=query.status,
        kind=query.kind,
        label=query.label_pair(),
        after=query.after_one_of("job"),
        limit=query.limit,
    )
    students = _students(session, page.rows)
    following = next_after([row.id for row in page.rows], has_more=page.has_more)
    documents = [wire.job(row, students.get(row.id)) for row in page.rows]
    return Page(data=documents, has_more=page.has_more, next_after=following)


@router.get(
    "/{job_id}",
    operation_id="get_job",
    summary="Look at a job",
    response_model=Job,
    responses={
        **COMMON,
        **problems("not_found"),
        200: {"description": "The job as it is now", "links": job_links()},
        304: {"description": "Not modified"},
    },
)
async def get_job(
    request: Request, edge: EdgeDep, caller: Reader, job_id: Id, prefer: PreferHeader = None
) -> Response:
    """Return the job. ``Retry-After`` says when to ask again; it is missing when the job is finished."""
    wait_s = preferred_wait_s(prefer)
    row, student = await _wait(request, edge, caller, job_id, wait_s)
    headers = _retry_after(row)
    if wait_s:
        headers["Preference-Applied"] = f"wait={wait_s:.0f}"
    return tagged(request, wire.job(row, student), headers)


@router.post(
    "/{job_id}/cancel",
    operation_id="cancel_job",
    summary="Cancel a job",
    status_code=202,
    response_model=Job,
    responses={**COMMON, **problems("not_found", "job_not_cancelable"), 202: _ACCEPTED},
)
def cancel_job(session: WritingSession, caller: Submitter, job_id: Id) -> Response:
    """Stop the job: a queued one at once, a running one within seconds. A finished one stays as it is."""
    row = jobs.cancel(session, caller.tenant, job_id)
    return _accepted(wire.job(row, _students(session, [row]).get(row.id)), row).response()


@router.post(
    "/{job_id}/retry",
    operation_id="retry_job",
    summary="Retry a job",
    status_code=202,
    response_model=Job,
    responses={
        **COMMON,
        **problems(
            "not_found",
            "job_not_finished",
            "job_not_retryable",
            "idempotency_key_in_use",
            "idempotency_key_reused",
        ),
        202: _ACCEPTED,
    },
)
def retry_job(
    session: WritingSession, caller: Submitter, job_id: Id, idempotency_key: KeyHeader = None
) -> Response:
    """Make a new job from a failed or canceled one; stages that were finished are not done again.

    With an Idempotency-Key, repeating the request cannot make a second one.
    """

    def act() -> Answer:
        row = jobs.retry(session, caller.tenant, job_id)
        return _accepted(wire.job(row), row)

    digest = fingerprint("POST", f"/v1/jobs/{job_id}/retry", "")
    answer, _ = once(session, caller.tenant, idempotency_key, digest, act)
    return answer.response()
