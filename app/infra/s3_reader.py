"""Reading an object of S3, and what its SDK raises in the words of a blob store."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from app.core.errors import NotFound, Unavailable
from app.infra.blob_store import StoreUnreachable

#: What a full store says that does not say it with status 507.
_FULL = {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}


class S3BlobReader(io.RawIOBase):
    """One object as a seekable file; it is asked for from the position on, when it is read.

    A connection that breaks is taken up once more where it broke.
    """

    def __init__(self, client: Any, bucket: str, key: str, size_bytes: int) -> None:
        """Ask for nothing yet."""
        self._client = client
        self._object = {"Bucket": bucket, "Key": key}
        self._size_bytes = size_bytes
        self._position = 0
        self._stream: Any = None

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Give the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere; the connection is given up if that is another place."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        if start + offset != self._position:
            self._hang_up()
            self._position = start + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Read what comes next, at most a buffer full."""
        view = memoryview(buffer).cast("B")
        if self._position >= self._size_bytes or not view:
            return 0
        try:
            chunk = self._next(len(view))
        except StoreUnreachable:
            self._hang_up()
            chunk = self._next(len(view))
        view[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)

    def _next(self, most: int) -> bytes:
        with answering():
            if self._stream is None:
                part = f"bytes={self._position}-"
                self._stream = self._client.get_object(**self._object, Range=part)["Body"]
            chunk: bytes = self._stream.read(most)
        if not chunk:
            raise StoreUnreachable("The blob store sent less than the whole object.")
        return chunk

    def close(self) -> None:
        """Give up the connection."""
        self._hang_up()
        super().close()

    def _hang_up(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


@contextmanager
def answering() -> Iterator[None]:
    """Turn what the SDK raises into what a store raises."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"404", "NoSuchKey"}:
            raise NotFound("blob") from None
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == HTTPStatus.INSUFFICIENT_STORAGE or code in _FULL:
            raise Unavailable("storage_full", "There is no space left to store the file.") from error
        raise StoreUnreachable(f"The blob store refuses: {code}") from error
    except (
        BotoCoreError,
        Boto3Error,
        HTTPError,
    ) as error:  # the last: SSLError, of a body
        raise StoreUnreachable(f"The blob store does not answer: {type(error).__name__}") from error
