"""Blobs in a local folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from app.core.errors import NotFound
from app.infra.blob_store import BlobStore, GoOn, StoredBlob, to_the_end
from app.infra.measured_writer import MeasuredWriter, ignored_storage_errors, storage_errors


class LocalBlobWriter(MeasuredWriter):
    """Writes to a temporary file; ``finish`` syncs it and renames it to its hash."""

    def __init__(self, store: LocalBlobStore, limit_bytes: int, go_on: GoOn) -> None:
        """Open a file that only its owner may read."""
        self._store = store
        with storage_errors():
            descriptor, name = tempfile.mkstemp(prefix="writing-", dir=store.writing_folder)
        self._path: Path | None = Path(name)
        super().__init__(os.fdopen(descriptor, "wb"), limit_bytes, go_on)

    def finish(self) -> StoredBlob:
        """Sync, rename, and return hash and size."""
        assert self._path is not None, "the writer was discarded"  # noqa: S101
        stored = self._measured()
        try:
            with storage_errors():
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                self._store.adopt(self._path, stored.sha256)
        except BaseException:
            self.discard()
            raise
        self._path = None
        return stored

    def discard(self) -> None:
        """Close and delete the temporary file."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None
            # Closing flushes what is buffered, and fails again on a full disk; the file is gone already.
            with ignored_storage_errors():
                self._file.close()


class LocalBlobStore(BlobStore):
    """A folder with two levels, so that no folder gets more than some thousand entries."""

    def __init__(self, folder: Path) -> None:
        """Make the folder, readable by its owner alone."""
        self._folder = folder
        self.writing_folder = folder / "writing"
        self.writing_folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def check(self) -> None:
        """Make a file and remove it."""
        self.open_for_write(limit_bytes=1).discard()

    def free_bytes(self) -> int | None:
        """Ask the file system, which keeps some for its administrator."""
        return shutil.disk_usage(self._folder).free

    def open_for_write(self, *, limit_bytes: int, go_on: GoOn = to_the_end) -> LocalBlobWriter:
        """Begin a blob of at most ``limit_bytes``."""
        return LocalBlobWriter(self, limit_bytes, go_on)

    def open(self, sha256: str) -> BinaryIO:
        """Open a blob for reading."""
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError:
            raise NotFound("blob") from None

    def now_s(self) -> float:
        """Touch a file: over NFS that is the server's time. None is made, since the disk may be full."""
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.utime(descriptor)
            return os.fstat(descriptor).st_mtime
        finally:
            os.close(descriptor)

    def stored_before(self, moment_s: float) -> list[str]:
        """Name old blobs."""
        return [
            path.name
            for path in self._folder.glob("??/*")
            if (stored_at := _stored_at(path)) is not None and stored_at < moment_s
        ]

    def delete_if_stored_before(self, sha256: str, moment_s: float) -> bool:
        """Delete an old blob."""
        place = self.path(sha256)
        with self._locked():
            stored_at = _stored_at(place)
            if stored_at is None or stored_at >= moment_s:
                return False
            place.unlink()
        return True

    def delete_abandoned(self, *, older_than_s: float) -> int:
        """Delete temporary files that nobody has written to for so long."""
        horizon = self.now_s() - older_than_s
        deleted = 0
        for path in self.writing_folder.iterdir():
            try:
                if path.stat().st_mtime < horizon:
                    path.unlink()
                    deleted += 1
            except FileNotFoundError:  # finished or discarded meanwhile
                continue
        return deleted

    def adopt(self, path: Path, sha256: str) -> None:
        """Move a synced file to its place, as of now; the same bytes may be there already."""
        place = self.path(sha256)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        os.utime(path)
        with self._locked():
            path.replace(place)
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def path(self, sha256: str) -> Path:
        """Say where a blob lies, or would."""
        return self._folder / sha256[:2] / sha256

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep bytes from being stored again between a look at their age and their end.

        The lock is a file, not the folder: over NFS only what is open for writing can be locked.
        """
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _stored_at(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another host's upkeep was faster
        return None
