"""Numbers for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import func, select
from starlette.responses import Response

from app.api.deps import EdgeDep, ReadingSession
from app.api.openapi import problems
from app.core.states import JobKind, JobStatus
from app.db.tables import Job
from app.services import upkeep_passes

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus text format",
            "content": {"text/plain": {"example": 'proctor_jobs{kind="clean",status="succeeded"} 3.0\n'}},
        },
        **problems("internal_error", "service_unavailable"),
    },
)
def get_metrics(edge: EdgeDep, session: ReadingSession) -> Response:
    """Count requests by route and status, and jobs by kind and status, over all tenants. Needs no key.

    ``proctor_upkeep_age_seconds`` is missing until upkeep was done once; after that, an age of minutes means
    that nobody looks for lost jobs.

    Nothing here names a tenant, a file or an id. Keep the route inside your network all the same.
    """
    counts = {
        (kind, status): count
        for kind, status, count in session.execute(
            select(Job.kind, Job.status, func.count()).group_by(Job.kind, Job.status)
        )
    }
    registry = CollectorRegistry()
    gauge = Gauge("proctor_jobs", "Jobs in the database.", ["kind", "status"], registry=registry)
    for kind in JobKind:
        for status in JobStatus:
            gauge.labels(kind=kind, status=status).set(counts.get((kind, status), 0))
    age_s = upkeep_passes.age_s(session)
    if age_s is not None:
        Gauge("proctor_upkeep_age_seconds", "Since upkeep was last done.", registry=registry).set(age_s)
    body = generate_latest(registry) + generate_latest(edge.metrics.registry)
    return Response(body, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})
