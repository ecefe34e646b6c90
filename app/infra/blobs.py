"""Blobs: the store that ``BLOB_URL`` names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from app.core.errors import Unavailable
from app.core.urls import checked_blob_url
from app.infra.blob_store import BlobStore, BlobWriter, StoredBlob, StoreUnreachable
from app.infra.local_blobs import LocalBlobStore

__all__ = ["BlobStore", "BlobWriter", "StoreUnreachable", "StoredBlob", "make_blob_store"]


def make_blob_store(url: str) -> BlobStore:
    """Make the store that a ``BLOB_URL`` names.

    Args:
        url: ``file:///absolute/folder``, or ``s3://bucket`` with a prefix of all keys as its path.

    Raises:
        ValueError: The URL names no folder and no bucket.
        Unavailable: ``service_unavailable``: what S3 needs is not installed.
    """
    parts = urlsplit(checked_blob_url(url))
    if parts.scheme == "file":
        return LocalBlobStore(Path(unquote(parts.path)))
    try:
        from app.infra.s3_blobs import S3BlobStore  # noqa: PLC0415 - an extra, and a third of a second
    except ModuleNotFoundError:
        raise Unavailable(
            "service_unavailable",
            "BLOB_URL names a bucket, for which boto3 is missing.",
            "pip install proctor[s3]",
        ) from None
    return S3BlobStore(parts.netloc, unquote(parts.path))
