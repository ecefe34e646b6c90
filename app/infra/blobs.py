"""Blobs: the store that ``BLOB_URL`` names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from app.infra.blob_store import BlobStore, BlobWriter, StoredBlob
from app.infra.local_blobs import LocalBlobStore

__all__ = ["BlobStore", "BlobWriter", "StoredBlob", "make_blob_store"]


def make_blob_store(url: str) -> BlobStore:
    """Make the store that a ``BLOB_URL`` names.

    Raises:
        ValueError: The URL's scheme is none that we know.
    """
    parts = urlsplit(url)
    if parts.scheme != "file":
        msg = f"BLOB_URL has the scheme {parts.scheme!r}; known is file:///absolute/folder"
        raise ValueError(msg)
    return LocalBlobStore(Path(unquote(parts.path)))
