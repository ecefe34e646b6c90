"""Which blobs rows refer to. What none refers to is deleted by upkeep, an hour after it was stored."""

from __future__ import annotations

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from app.db.tables import Artifact, Dataset, StageOutput, Teacher


def referenced(session: Session) -> set[str]:
    """Return the SHA-256 of every blob that a row needs.

    Tenants, jobs and uploads with the same bytes share a blob.
    """
    columns = (
        Teacher.sha256,
        Teacher.canonical_sha256,
        Dataset.sha256,
        Dataset.canonical_sha256,
        Artifact.sha256,
    )
    named = union(*(select(column) for column in columns))
    found = {sha256 for sha256 in session.scalars(named) if sha256 is not None}
    for files in session.scalars(select(StageOutput.files)):
        found.update(file["sha256"] for file in files)
    return found
