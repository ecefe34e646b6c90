"""Datasets: received, inspected, listed, deleted."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.ids import new_id
from app.core.states import DatasetRole, UploadStatus
from app.db.tables import Dataset
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
    role: DatasetRole,
) -> tuple[Dataset, bool]:
    """Register uploaded bytes and submit their inspection.

    Args:
        session: The caller's transaction.
        principal: Who uploads.
        stored: What the blob writer returned.
        filename: The uploader's name for it; only shown.
        role: What jobs may use it for.

    Returns:
        The dataset, and whether it is new. The same bytes in the same role are the tenant's existing
        dataset, unless that one was rejected: then it is replaced.
    """
    same = select(Dataset).where(
        Dataset.tenant == principal.tenant, Dataset.sha256 == stored.sha256, Dataset.role == role
    )
    dataset = Dataset(
        id=new_id("ds"),
        tenant=principal.tenant,
        filename=filename,
        role=role,
        status=UploadStatus.INSPECTING,
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
    )
    return receipts.take(session, dataset, same)


def get(session: Session, tenant: str, dataset_id: str) -> Dataset:
    """Return one dataset.

    Raises:
        NotFound: There is none of that identifier for this tenant.
    """
    return uploads.get(session, Dataset, tenant, dataset_id)


def lock(session: Session, tenant: str, dataset_id: str) -> Dataset:
    """Return one dataset that nobody else changes before the transaction ends.

    Raises:
        NotFound: There is none of that identifier for this tenant.
    """
    return uploads.lock(session, Dataset, tenant, dataset_id)


def page(session: Session, tenant: str, after: str | None = None, limit: int = 20) -> Page[Dataset]:
    """Return a page of datasets, newest first."""
    return newest_first(session, select(Dataset).where(Dataset.tenant == tenant), Dataset.id, after, limit)


def delete(session: Session, tenant: str, dataset_id: str) -> None:
    """Delete a dataset, and its files within three hours; jobs that used it keep their results.

    Raises:
        NotFound: There is none of that identifier for this tenant.
        Conflict: A job that has not ended uses it.
    """
    uploads.delete(session, get(session, tenant, dataset_id))
