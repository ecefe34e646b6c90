"""All routes."""

from __future__ import annotations

from fastapi import APIRouter

from app.api import artifacts, catalog, datasets, events, health, jobs, metrics, reports, teachers

UPLOAD_PREFIXES = (teachers.router.prefix + "/", datasets.router.prefix + "/")

router = APIRouter()
for resource in (teachers, datasets, jobs, events, reports, artifacts, catalog, health, metrics):
    router.include_router(resource.router)
