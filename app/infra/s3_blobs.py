"""Blobs in a bucket of S3, or of what speaks its protocol (MinIO, Ceph, Garage).

Credentials and endpoint are found as every AWS program finds them: ``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_ENDPOINT_URL_S3``, the shared files, the machine's role; the region in
``AWS_REGION`` or ``AWS_DEFAULT_REGION``.

S3 has no lock that could keep bytes from being stored again between a look at their age and their end. So a
blob is deleted in two steps: it is copied to ``trash/`` and its first place is emptied; a sweep that finds it
there an hour later, and still no row that refers to it, deletes it. Reading looks into both places, and what
is in the trash is deleted only where nobody needs the blob, so bytes that were stored again in between are
never lost. Of such bytes the copy stays in the trash for as long as they are needed.

Nothing is sent in parts: one request takes 5 GB, which no file of ours reaches, and a part that was sent
before its sender died would be kept and billed for ever.
"""

from __future__ import annotations

import io
import math
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, cast

import boto3
from botocore.config import Config

from app.core.errors import NotFound
from app.infra.blob_store import CHUNK_BYTES, BlobStore, GoOn, StoredBlob, StoreUnreachable, to_the_end
from app.infra.measured_writer import MeasuredWriter, ignored_storage_errors, storage_errors
from app.infra.s3_reader import S3BlobReader, answering


def _config(read_timeout_s: float) -> Config:
    return Config(
        connect_timeout=5,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=32,
        # Stores other than Amazon's refuse the checksums that the SDK adds by itself since 1.36.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


class _Body:
    """What the SDK sends of a file, and asks for in between: once to hash it, once more to send it."""

    def __init__(self, file: BinaryIO, go_on: GoOn) -> None:
        self._file = file
        self._go_on = go_on
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        self._go_on()
        return self._file.read(size)


class S3BlobWriter(MeasuredWriter):
    """Writes to a temporary file without a name (in ``TMPDIR``); ``finish`` sends it."""

    def __init__(self, store: S3BlobStore, limit_bytes: int, go_on: GoOn) -> None:
        """Open a file that is gone with its last descriptor, however this process ends."""
        self._store = store
        # Not a context: ``discard`` closes it.
        super().__init__(cast(BinaryIO, tempfile.TemporaryFile()), limit_bytes, go_on)  # noqa: SIM115

    def finish(self) -> StoredBlob:
        """Send the bytes, and return their hash and size."""
        stored = self._measured()
        try:
            with storage_errors():
                self._file.flush()
            self._store.send(self._file, stored.sha256, self._go_on)
        finally:
            self.discard()
        return stored

    def discard(self) -> None:
        """Close the temporary file, which deletes it."""
        with ignored_storage_errors():
            self._file.close()


class S3BlobStore(BlobStore):
    """A bucket, or the part of one under a prefix, and of no other installation."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        """Connect at the first use.

        Args:
            bucket: Its name; it must exist.
            prefix: What every key begins with; a slash is added.
        """
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        with answering():
            region = os.environ.get("AWS_REGION") or None  # which the SDK for Python does not read
            session = boto3.session.Session(region_name=region)
            self._client = session.client("s3", config=_config(10))
            #: For what moves bytes, after which the server may think for a while.
            self._mover = session.client("s3", config=_config(60))

    def check(self) -> None:
        """Ask for the bucket."""
        self._bucket_headers()

    def free_bytes(self) -> int | None:
        """Tell nothing: a bucket does not fill up."""
        return None

    def now_s(self) -> float:
        """Read the time off an answer."""
        return parsedate_to_datetime(self._bucket_headers()["date"]).timestamp()

    def open_for_write(self, *, limit_bytes: int, go_on: GoOn = to_the_end) -> S3BlobWriter:
        """Begin a blob of at most ``limit_bytes``."""
        return S3BlobWriter(self, limit_bytes, go_on)

    def send(self, file: BinaryIO, sha256: str, go_on: GoOn) -> None:
        """Store all that ``file`` holds, as of now."""
        file.seek(0)
        with answering():
            body = _Body(file, go_on)
            self._mover.put_object(Bucket=self._bucket, Key=self._key(sha256), Body=body)

    def open(self, sha256: str) -> BinaryIO:
        """Open a blob for reading: a connection follows the position, nothing is copied to the disk."""
        for key in (self._key(sha256), self._trash(sha256)):
            facts = self._head(key)
            if facts is not None:
                raw = S3BlobReader(self._client, self._bucket, key, facts["ContentLength"])
                return io.BufferedReader(raw, CHUNK_BYTES)
        self.check()  # a missing bucket must not read as a missing blob
        raise NotFound("blob")

    def stored_before(self, moment_s: float) -> list[str]:
        """Name old blobs, those too that lie in the trash."""
        moment = _time(moment_s)
        found = {
            str(entry["Key"]).rpartition("/")[2]
            for place in ("blobs", "trash")
            for entry in self._listed(f"{self._prefix}{place}/")
            if entry["LastModified"] < moment
        }
        return sorted(found)

    def delete_if_stored_before(self, sha256: str, moment_s: float) -> bool:
        """Move an old blob to the trash, and out of it when it has been there since before the moment."""
        moment = _time(moment_s)
        key, trash = self._key(sha256), self._trash(sha256)
        facts = self._head(key)
        if facts is not None:
            if facts["LastModified"] >= moment:
                return False
            if not self._copied(key, trash):  # another upkeep was faster
                return False
            self._delete(key)
        facts = self._head(trash)
        if facts is None or facts["LastModified"] >= moment:
            return False
        self._delete(trash)
        return True

    def delete_abandoned(self, *, older_than_s: float) -> int:
        """Find nothing: what a writer that died had not sent went with it."""
        del older_than_s
        return 0

    def _bucket_headers(self) -> dict[str, str]:
        try:
            with answering():
                answer = self._client.head_bucket(Bucket=self._bucket)
        except NotFound:
            raise StoreUnreachable(f"There is no bucket {self._bucket}") from None
        headers: dict[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
        return headers

    def _key(self, sha256: str) -> str:
        return f"{self._prefix}blobs/{sha256}"

    def _trash(self, sha256: str) -> str:
        return f"{self._prefix}trash/{sha256}"

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            with answering():
                return dict(self._client.head_object(Bucket=self._bucket, Key=key))
        except NotFound:
            return None

    def _copied(self, key: str, other: str) -> bool:
        source = {"Bucket": self._bucket, "Key": key}
        try:
            with answering():
                self._mover.copy_object(Bucket=self._bucket, Key=other, CopySource=source)
        except NotFound:
            return False
        return True

    def _delete(self, key: str) -> None:
        with answering():
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def _listed(self, prefix: str) -> Iterator[dict[str, Any]]:
        with answering():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                yield from page.get("Contents", [])


def _time(moment_s: float) -> datetime:
    """Say seconds since the epoch as S3 does; infinity is the end of time."""
    if moment_s == math.inf:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.fromtimestamp(moment_s, UTC)
