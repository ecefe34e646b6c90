"""A blob on its way into a store: collected in a file, hashed and counted while it is written."""

from __future__ import annotations

import errno
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from app.core.errors import TooLarge, Unavailable
from app.infra.blob_store import GoOn, StoredBlob


class MeasuredWriter(ABC):
    """What writers of all stores do alike; what was written is discarded when more comes than may."""

    def __init__(self, file: BinaryIO, limit_bytes: int, go_on: GoOn) -> None:
        """Begin with an open and empty file."""
        self._file = file
        self._limit_bytes = limit_bytes
        self._go_on = go_on
        self._size_bytes = 0
        self._hash = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Add bytes.

        Raises:
            TooLarge: ``body_too_large``.
            Unavailable: ``storage_full``.
        """
        try:
            self._go_on()
            self._size_bytes += len(chunk)
            if self._size_bytes > self._limit_bytes:
                raise TooLarge(
                    "body_too_large",
                    f"The file has more than {self._limit_bytes} bytes.",
                    "Upload a smaller file.",
                )
            self._hash.update(chunk)
            with storage_errors():
                self._file.write(chunk)
        except BaseException:
            self.discard()
            raise

    @abstractmethod
    def discard(self) -> None:
        """Leave nothing behind."""

    def _measured(self) -> StoredBlob:
        """Describe what was written so far."""
        return StoredBlob(self._hash.hexdigest(), self._size_bytes)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn a full disk into an answer; everything else stays what it is."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Unavailable("storage_full", "There is no space left to store the file.") from error
        raise


@contextmanager
def ignored_storage_errors() -> Iterator[None]:
    """Let a failing clean-up not hide the error that led to it."""
    try:
        yield
    except OSError:
        return
