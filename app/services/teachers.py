"""Teachers: received, inspected, listed, deleted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.ids import new_id
from app.core.states import UploadStatus
from app.db.tables import Teacher
from app.infra.blobs import StoredBlob
from app.services import receipts, uploads
from app.services.pages import Page, newest_first
from app.services.principal import Principal


def receive(
    session: Session,
    principal: Principal,
    stored: StoredBlob,
    *,
    filename: str,
    declared: Mapping[str, Any],
) -> tuple[Teacher, bool]:
    """Register uploaded bytes and submit their inspection.

    Args:
        session: The caller's transaction.
        principal: Who uploads.
        stored: What the blob writer returned.
        filename: The uploader's name for it; only shown.
        declared: What the uploader said about it; absent and None mean the same.

    Returns:
        The teacher, and whether it is new. The same bytes with the same declarations are the tenant's
        existing teacher, unless that one was rejected: then it is replaced.
    """
    said = {name: value for name, value in declared.items() if value is not None}
    declared_sha256 = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    same = select(Teacher).where(
        Teacher.tenant == principal.tenant,
        Teacher.sha256 == stored.sha256,
        Teacher.declared_sha256 == declared_sha256,
    )
    teacher = Teacher(
        id=new_id("tch"),
        tenant=principal.tenant,
        filename=filename,
        status=UploadStatus.INSPECTING,
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
        declared=said,
        declared_sha256=declared_sha256,
    )
    return receipts.take(session, teacher, same)


def get(session: Session, tenant: str, teacher_id: str) -> Teacher:
    """Return one teacher.

    Raises:
        NotFound: There is none of that identifier for this tenant.
    """
    return uploads.get(session, Teacher, tenant, teacher_id)


def lock(session: Session, tenant: str, teacher_id: str) -> Teacher:
    """Return one teacher that nobody else changes before the transaction ends.

    Raises:
        NotFound: There is none of that identifier for this tenant.
    """
    return uploads.lock(session, Teacher, tenant, teacher_id)


def page(session: Session, tenant: str, after: str | None = None, limit: int = 20) -> Page[Teacher]:
    """Return a page of teachers, newest first."""
    return newest_first(session, select(Teacher).where(Teacher.tenant == tenant), Teacher.id, after, limit)


def delete(session: Session, tenant: str, teacher_id: str) -> None:
    """Delete a teacher, and its files within three hours; jobs that used it keep their results.

    Raises:
        NotFound: There is none of that identifier for this tenant.
        Conflict: A job that has not ended uses it.
    """
    uploads.delete(session, get(session, tenant, teacher_id))
