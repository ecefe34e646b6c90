"""Is it alive, is it ready, what is it."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter
from sqlalchemy.exc import DBAPIError

from app.api.deps import EdgeDep
from app.api.openapi import problems
from app.core.errors import Unavailable
from app.schemas.health import Alive, Ready, SandboxState, Version
from app.services import upkeep_passes
from models.sandbox.level import sandbox_level

router = APIRouter(tags=["health"])


@router.get("/livez", operation_id="get_livez", summary="Is the process alive?")
async def get_livez() -> Alive:
    """Answer at once, without looking at anything. Needs no key."""
    return Alive()


@router.get(
    "/readyz",
    operation_id="get_readyz",
    summary="Can it serve?",
    responses=problems("service_unavailable", "internal_error"),
)
def get_readyz(edge: EdgeDep) -> Ready:
    """Ask the database and the blob store: a folder is written to and must have room, a bucket must exist.

    Needs no key.

    The sandbox is that of the machine which answers; workers elsewhere check their own before they start.
    Neither broker nor scheduler is asked: a job posted while they are away is kept in the database and runs
    when they are back. How long ago lost jobs were last looked for is told.
    """
    try:
        with edge.reading() as session:
            age_s = upkeep_passes.age_s(session)
    except DBAPIError:
        raise Unavailable("service_unavailable", "The database does not answer, or lacks tables.") from None
    try:
        edge.blobs.check()
        free_bytes = edge.blobs.free_bytes()
    except (OSError, Unavailable):
        raise Unavailable("service_unavailable", "The blob store cannot be used.") from None
    if free_bytes is not None and free_bytes < edge.settings.min_free_bytes:
        least = f"{edge.settings.min_free_bytes:,} bytes"
        raise Unavailable(
            "service_unavailable",
            f"The disk that uploads and results go to is nearly full: it has less than {least} left.",
            "Its operator makes room or gives it another disk; PROCTOR_MIN_FREE_BYTES is the limit.",
        )
    found = sandbox_level()
    sandbox = SandboxState(level=found.level, missing=list(found.missing), mode=edge.settings.sandbox)
    return Ready(sandbox=sandbox, upkeep_age_s=age_s)


@router.get("/version", operation_id="get_version", summary="What is running?")
async def get_version() -> Version:
    """Name the release and the API's version. Needs no key."""
    return Version(version=version("proctor"))
