"""Artifacts: what a job published, and the bytes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from app.api import wire
from app.api.deps import Edge, EdgeDep, Reader, ReadingSession
from app.api.files import send_artifact
from app.api.jobs import Id as JobPath
from app.api.openapi import COMMON, Responses, link, problems
from app.schemas.artifacts import Artifact
from app.schemas.base import ArtifactId, Page
from app.services import artifacts, jobs
from app.services.principal import Principal

router = APIRouter(prefix="/v1", tags=["artifacts"])

Id = Annotated[ArtifactId, Path(description="The artifact.")]
_BYTES: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_CONTENT: Responses = {
    **COMMON,
    **problems("not_found", "range_not_satisfiable"),
    200: {
        "description": "The whole file",
        "content": _BYTES,
        "headers": {
            "ETag": {"description": 'Strong: "sha256:..."', "schema": {"type": "string"}},
            "Repr-Digest": {"description": "RFC 9530, of the whole file", "schema": {"type": "string"}},
            "Content-Disposition": {"schema": {"type": "string"}},
        },
    },
    206: {"description": "The range that was asked for", "content": _BYTES},
    304: {"description": "Not modified"},
}


@router.get(
    "/jobs/{job_id}/artifacts",
    operation_id="list_job_artifacts",
    summary="List what a job published",
    responses={
        **COMMON,
        **problems("not_found"),
        200: {
            "description": "All files; empty until the job has succeeded",
            "links": {"content": link("get_artifact_content", "artifact_id", "The bytes.", "/data/0/id")},
        },
    },
)
def list_job_artifacts(session: ReadingSession, caller: Reader, job_id: JobPath) -> Page[Artifact]:
    """Return all files of the job; there are some dozens at most, so the page is never cut."""
    jobs.status_of(session, caller.tenant, job_id)
    rows = artifacts.page(session, caller.tenant, job_id)
    return Page(data=[wire.artifact(row) for row in rows], has_more=False, next_after=None)


@router.get(
    "/artifacts/{artifact_id}/content",
    operation_id="get_artifact_content",
    summary="Download an artifact",
    response_class=Response,
    responses=_CONTENT,
)
def get_artifact_content(request: Request, edge: EdgeDep, caller: Reader, artifact_id: Id) -> Response:
    """Return the bytes. ``Range`` with one range resumes a download; ``If-Range`` guards it."""
    return _send(request, edge, caller, artifact_id)


@router.head(
    "/artifacts/{artifact_id}/content",
    operation_id="head_artifact_content",
    summary="Size and digest of an artifact",
    response_class=Response,
    responses={status: response for status, response in _CONTENT.items() if status not in {206, 416}},
)
def head_artifact_content(request: Request, edge: EdgeDep, caller: Reader, artifact_id: Id) -> Response:
    """Return the headers of the download without the bytes."""
    return _send(request, edge, caller, artifact_id)


def _send(request: Request, edge: Edge, caller: Principal, artifact_id: str) -> Response:
    # A session of its own: none may be open while the blob store is asked.
    with edge.reading() as session:
        artifact = artifacts.get(session, caller.tenant, artifact_id)
    return send_artifact(request, edge.blobs, artifact)
