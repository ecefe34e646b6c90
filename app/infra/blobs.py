"""Blobs: the store that ``BLOB_URL`` names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from app.core.urls import checked_blob_url
from app.infra.blob_store import BlobStore, BlobWriter, GoOn, StoredBlob, StoreUnreachable, to_the_end
from app.infra.local_blobs import LocalBlobStore

__all__ = [
    "BlobStore",
    "BlobWriter",
    "GoOn",
    "StoreUnreachable",
    "StoredBlob",
    "make_blob_store",
    "to_the_end",
]


def make_blob_store(url: str) -> BlobStore:
    """Make the store that a ``BLOB_URL`` names.

    Args:
        url: ``file:///absolute/folder``, or ``s3://bucket`` with a prefix of all keys as its path.

    Raises:
        ValueError: As of ``checked_blob_url``.
    """
    parts = urlsplit(checked_blob_url(url))
    if parts.scheme == "file":
        return LocalBlobStore(Path(unquote(parts.path)))
    from app.infra.s3_blobs import S3BlobStore  # noqa: PLC0415 - an extra, and a third of a second

    return S3BlobStore(parts.netloc, unquote(parts.path))
