"""``/v1/jobs/{job_id}/report``: the result for a reader, or for a program."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api import wire
from app.api.deps import EdgeDep, Reader, ReadingSession
from app.api.files import send_artifact
from app.api.jobs import Id
from app.api.negotiation import choose
from app.api.openapi import COMMON, problems
from app.api.problems import problem_response
from app.core.errors import ServiceError
from app.services import artifacts, jobs

router = APIRouter(prefix="/v1/jobs/{job_id}/report", tags=["jobs"])

_NAMES = {"text/html": "report.html", "application/json": "report.json"}


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
            "description": "The report; HTML unless JSON is asked for",
            "content": {
                "text/html": {"schema": {"type": "string"}},
                "application/json": {"schema": {"type": "object"}},
            },
        },
        206: {"description": "The range that was asked for"},
        304: {"description": "Not modified"},
    },
)
def get_job_report(
    request: Request, session: ReadingSession, edge: EdgeDep, caller: Reader, job_id: Id
) -> Response:
    """Return the report as HTML or, with ``Accept: application/json``, as JSON."""
    media_type = choose(request.headers.get("accept"), list(_NAMES))
    job = jobs.get(session, caller.tenant, job_id)
    if not job.status.terminal:
        headers = {"Retry-After": str(wire.retry_after_s(job))}
        return problem_response(
            request, "job_not_finished", detail=f"The job is {job.status}.", headers=headers
        )
    report = artifacts.named(session, caller.tenant, job_id, _NAMES[media_type])
    if report is None:
        raise ServiceError("report_not_available", f"The job has {job.status} and left no report.")
    return send_artifact(request, edge.blobs, report, inline=True)
