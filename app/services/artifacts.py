"""Published files."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import NotFound
from app.db.tables import Artifact


def page(session: Session, tenant: str, job_id: str) -> list[Artifact]:
    """Return all files of a job by name; a job has some dozens at most."""
    return list(
        session.scalars(
            select(Artifact)
            .where(Artifact.tenant == tenant, Artifact.job_id == job_id)
            .order_by(Artifact.name)
        )
    )


def get(session: Session, tenant: str, artifact_id: str) -> Artifact:
    """Return one file.

    Raises:
        NotFound: There is no such file for this tenant.
    """
    found = session.scalar(select(Artifact).where(Artifact.tenant == tenant, Artifact.id == artifact_id))
    if found is None:
        raise NotFound("artifact")
    return found


def named(session: Session, tenant: str, job_id: str, name: str) -> Artifact | None:
    """Return a job's file by name, or None: ``report.html``, ``student.safetensors``."""
    return session.scalar(
        select(Artifact).where(Artifact.tenant == tenant, Artifact.job_id == job_id, Artifact.name == name)
    )
