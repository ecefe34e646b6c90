"""``/v1/jobs/{job_id}/report``: the result for a reader, or for a program."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api import wire
from app.api.deps import EdgeDep, Reader
from app.api.files import send_artifact
from app.api.jobs import Id
from app.api.negotiation import choose
from app.api.openapi import COMMON, problems
from app.api.problems import problem_response
from app.core.artifact_names import REPORT_HTML, REPORT_JSON, REPORT_SARIF
from app.core.errors import ServiceError
from app.core.states import STAGES, JobKind, JobStatus, Stage
from app.services import artifacts, jobs

router = APIRouter(prefix="/v1/jobs/{job_id}/report", tags=["jobs"])

SARIF = "application/sarif+json"
_NAMES = {"text/html": REPORT_HTML, "application/json": REPORT_JSON, SARIF: REPORT_SARIF}


@router.get(
    "",
    operation_id="get_job_report",
    summary="Read a job's report",
    response_class=Response,
    responses={
        **COMMON,
        **problems(
            "not_found",
            "report_not_available",
            "not_acceptable",
            "job_not_finished",
            "range_not_satisfiable",
        ),
        200: {
            "description": "The report; HTML unless JSON or, of a job that audits, SARIF 2.1.0 is asked for",
            "content": {
                "text/html": {"schema": {"type": "string"}},
                "application/json": {"schema": {"type": "object"}},
                SARIF: {"schema": {"type": "object"}},
            },
        },
        206: {"description": "The range that was asked for"},
        304: {"description": "Not modified"},
    },
)
def get_job_report(request: Request, edge: EdgeDep, caller: Reader, job_id: Id) -> Response:
    """Return the report as HTML, with ``Accept: application/json`` as JSON, or an audit's findings as SARIF.

    SARIF 2.1.0 comes with ``Accept: application/sarif+json`` and of jobs that audit: kinds audit and clean.
    """
    # A session of its own: none may be open while the blob store is asked.
    with edge.reading() as session:
        job = jobs.get(session, caller.tenant, job_id)
        media_type = choose(request.headers.get("accept"), _offered(job.kind))
        report = artifacts.named(session, caller.tenant, job_id, _NAMES[media_type])
    if not job.status.terminal:
        headers = {"Retry-After": str(wire.retry_after_s(job))}
        return problem_response(
            request, "job_not_finished", detail=f"The job is {job.status}.", headers=headers
        )
    if report is None:
        ended = "was canceled" if job.status is JobStatus.CANCELED else f"has {job.status}"
        raise ServiceError("report_not_available", f"The job {ended} and left no report as {media_type}.")
    return send_artifact(request, edge.blobs, report, inline=True)


def _offered(kind: JobKind) -> list[str]:
    """Return the forms that a report of such a job has, the default first."""
    return [media_type for media_type in _NAMES if media_type != SARIF or Stage.PROBE in STAGES[kind]]
