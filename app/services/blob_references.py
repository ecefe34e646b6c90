"""Deleting blobs that nothing refers to any more."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from sqlalchemy import String, cast, or_, select
from sqlalchemy.orm import Session

from app.db.commit_hooks import after_commit, before_commit
from app.db.tables import Artifact, Dataset, StageOutput, Teacher
from app.infra.blobs import BlobStore


def forget(session: Session, blobs: BlobStore, hashes: Iterable[str | None]) -> None:
    """Delete those blobs to which no row refers when the transaction has committed.

    Tenants, jobs and uploads with the same bytes share a blob. Whether one is still needed is asked last,
    because the same transaction may put another row in the place of the one it deleted.
    """
    candidates = [sha256 for sha256 in hashes if sha256 is not None]

    def find_orphans() -> None:
        session.flush()
        for sha256 in candidates:
            if not _referred_to(session, sha256):
                after_commit(session, partial(blobs.delete, sha256))

    before_commit(session, find_orphans)


def _referred_to(session: Session, sha256: str) -> bool:
    teachers = select(Teacher.id).where(or_(Teacher.sha256 == sha256, Teacher.canonical_sha256 == sha256))
    datasets = select(Dataset.id).where(or_(Dataset.sha256 == sha256, Dataset.canonical_sha256 == sha256))
    artifacts = select(Artifact.id).where(Artifact.sha256 == sha256)
    outputs = select(StageOutput.job_id).where(cast(StageOutput.files, String).contains(sha256))
    queries = (teachers, datasets, artifacts, outputs)
    return any(session.execute(query.limit(1)).first() is not None for query in queries)
