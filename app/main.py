"""The application: wiring only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from app.api import openapi, problems
from app.api.deps import Edge
from app.api.event_streams import StreamPlaces
from app.api.http_metrics import HttpMetrics
from app.api.request_context import RequestContext
from app.api.router import UPLOAD_PREFIXES, router
from app.core.settings import Settings
from app.db.base import make_engine, make_session_factory
from app.infra.blobs import make_blob_store
from app.infra.queue import CeleryDoorbell

TAGS = [
    {"name": "teachers", "description": "Suspect networks."},
    {"name": "datasets", "description": "Images a job may use."},
    {"name": "jobs", "description": "Audits, distillations, and both in one."},
    {"name": "artifacts", "description": "What jobs publish."},
    {"name": "catalog", "description": "What there is to choose from."},
    {"name": "health", "description": "For operators."},
]


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application.

    Args:
        settings: From the environment when absent. The database must have been migrated.
    """
    chosen = settings or Settings()
    metrics = HttpMetrics()

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        engine = make_engine(chosen.database_url)
        try:
            application.state.edge = Edge(
                settings=chosen,
                engine=engine,
                sessions=make_session_factory(engine, info={"doorbell": CeleryDoorbell(chosen)}),
                reading=make_session_factory(engine, read_only=True),
                blobs=make_blob_store(chosen.blob_url),
                metrics=metrics,
                streams=StreamPlaces(chosen.max_event_streams),
            )
            yield
        finally:
            engine.dispose()

    application = FastAPI(
        title="Proctor",
        version=version("proctor"),
        lifespan=lifespan,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    application.add_middleware(
        RequestContext, metrics=metrics, upload_prefixes=UPLOAD_PREFIXES, limit_bytes=chosen.max_body_bytes
    )
    problems.install(application)
    openapi.install(application)
    application.include_router(router)
    return application
