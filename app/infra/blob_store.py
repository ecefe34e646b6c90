"""Blobs: files by their SHA-256, written once and never changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from app.core.plain_files import open_plain

CHUNK_BYTES = 1024 * 1024

#: Called before each chunk that moves. To end it there, it raises a ``concurrent.futures.CancelledError``:
#: the one exception that the SDK of S3 passes on as it is and does not answer with another try.
GoOn = Callable[[], None]


def to_the_end() -> None:
    """Go on, whatever happens."""


@dataclass(frozen=True)
class StoredBlob:
    """What the store knows of a blob."""

    sha256: str
    size_bytes: int


class StoreUnreachable(ConnectionError):
    """The store does not answer, or not as it should; the same request may work later."""


class BlobWriter(Protocol):
    """A blob in the making. Nothing of it remains unless ``finish`` is called."""

    def write(self, chunk: bytes) -> None:
        """Add bytes.

        Raises:
            TooLarge: ``body_too_large``, when the limit is passed.
            Unavailable: ``storage_full``.
        """

    def finish(self) -> StoredBlob:
        """Make the bytes a blob; they are kept for good when this returns."""

    def discard(self) -> None:
        """Leave nothing behind; does nothing after ``finish``."""


class BlobStore(Protocol):
    """Where blobs lie. One store serves the API and the workers.

    What reaches for a store over the network raises ``StoreUnreachable`` when it is away.
    """

    def check(self) -> None:
        """See whether blobs can be stored now.

        Raises:
            OSError: They cannot.
        """

    def free_bytes(self) -> int | None:
        """Say how much room there is; None where nobody can tell, as of a bucket.

        Raises:
            OSError: The store is away.
        """

    def open_for_write(self, *, limit_bytes: int, go_on: GoOn = to_the_end) -> BlobWriter:
        """Begin a blob of at most ``limit_bytes``."""

    def put_file(self, path: Path, *, go_on: GoOn = to_the_end) -> StoredBlob:
        """Store a copy of a file.

        What is hashed is what is stored, whoever writes to the file meanwhile: a job's process still runs.

        Raises:
            OSError: ``ELOOP``, if it is no plain file.
        """
        with open_plain(path) as source:
            size_bytes = os.fstat(source.fileno()).st_size
            writer = self.open_for_write(limit_bytes=size_bytes, go_on=go_on)
            try:
                while chunk := source.read(CHUNK_BYTES):
                    writer.write(chunk)
                return writer.finish()
            finally:
                writer.discard()

    def open(self, sha256: str) -> BinaryIO:
        """Open a blob for reading; the file is seekable.

        Raises:
            NotFound: There is no such blob.
        """

    def fetch(self, sha256: str, destination: Path, *, go_on: GoOn = to_the_end) -> None:
        """Copy a blob, never link it: whoever gets the copy may write to it.

        Raises:
            NotFound: There is no such blob.
        """
        with self.open(sha256) as source, destination.open("wb") as target:
            while chunk := source.read(CHUNK_BYTES):
                go_on()
                target.write(chunk)

    def now_s(self) -> float:
        """Say what time it is for the store: by that clock it says when bytes were stored, not by ours."""

    def stored_before(self, moment_s: float) -> list[str]:
        """Name the blobs whose bytes nobody stored since a moment, in seconds since the epoch."""

    def delete_if_stored_before(self, sha256: str, moment_s: float) -> bool:
        """Delete a blob unless somebody stored the same bytes again since; return whether it is gone now.

        A store may take two calls for it, a while apart.
        """

    def delete_abandoned(self, *, older_than_s: float) -> int:
        """Delete what writers that died left behind; return how many."""
