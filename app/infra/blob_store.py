"""Blobs: files by their SHA-256, written once and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class StoredBlob:
    """What the store knows of a blob."""

    sha256: str
    size_bytes: int


class BlobWriter(Protocol):
    """A blob in the making. Nothing of it remains unless ``finish`` is called."""

    def write(self, chunk: bytes) -> None:
        """Add bytes.

        Raises:
            TooLarge: ``body_too_large``, when the limit is passed.
            Unavailable: ``storage_full``.
        """

    def finish(self) -> StoredBlob:
        """Make the bytes a blob; they are on the disk when this returns."""

    def discard(self) -> None:
        """Leave nothing behind; does nothing after ``finish``."""


class BlobStore(Protocol):
    """Where blobs lie. One store serves the API and the workers."""

    def open_for_write(self, *, limit_bytes: int) -> BlobWriter:
        """Begin a blob of at most ``limit_bytes``."""

    def put_file(self, path: Path) -> StoredBlob:
        """Store a copy of a file."""

    def open(self, sha256: str) -> BinaryIO:
        """Open a blob for reading; the file is seekable.

        Raises:
            NotFound: There is no such blob.
        """

    def fetch(self, sha256: str, destination: Path) -> None:
        """Copy a blob to a path, which a job's process may then do with as it likes."""

    def path(self, sha256: str) -> Path | None:
        """Give the blob's own path where it lies in a folder; None where it does not."""

    def stored_before(self, moment_s: float) -> list[str]:
        """Name the blobs whose bytes nobody stored since a moment, in seconds since the epoch."""

    def delete_if_stored_before(self, sha256: str, moment_s: float) -> bool:
        """Delete a blob unless somebody stored the same bytes again since; return whether it is gone now."""

    def delete_abandoned(self, *, older_than_s: float) -> int:
        """Delete what writers that died left behind; return how many."""
