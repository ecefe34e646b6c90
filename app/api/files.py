"""Send a stored file: whole, a range of it, or only its headers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from app.api.conditional import (
    ByteRange,
    UnsatisfiableRangeError,
    content_disposition,
    matches,
    parse_range,
    sha256_digest_field,
    sha256_etag,
)
from app.api.problems import problem_response
from app.core.errors import NotFound
from app.db import tables
from app.infra.blobs import BlobStore

READ_BYTES = 256 * 1024

#: A report is HTML from our own template about hostile input: nothing in it may run or load anything.
_SAFE_TO_SHOW = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox",
}


@dataclass(frozen=True, slots=True)
class _Piece:
    """An open file and which of its bytes to send."""

    file: BinaryIO
    part: ByteRange

    async def chunks(self) -> AsyncIterator[bytes]:
        left = self.part.length
        try:
            while left > 0 and (chunk := await run_in_threadpool(self.file.read, min(READ_BYTES, left))):
                left -= len(chunk)
                yield chunk
        finally:
            self.file.close()


def send_artifact(
    request: Request, blobs: BlobStore, artifact: tables.Artifact, *, inline: bool = False
) -> Response:
    """Answer a GET or HEAD for an artifact's bytes: 200, 206, 304 or 416.

    Args:
        request: With the conditional and range headers.
        blobs: Where the bytes are.
        artifact: What to send.
        inline: Show it in a browser rather than offer to save it.
    """
    etag = sha256_etag(artifact.sha256)
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Repr-Digest": sha256_digest_field(artifact.sha256),
        "Cache-Control": "private, no-cache",
        "Vary": "Accept, Authorization" if inline else "Authorization",
        **_SAFE_TO_SHOW,
    }
    if not inline:
        headers["Content-Disposition"] = content_disposition(artifact.name)
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    try:
        part = _requested_part(request, artifact.size_bytes, etag)
    except UnsatisfiableRangeError:
        return problem_response(
            request,
            "range_not_satisfiable",
            detail=f"The file has {artifact.size_bytes} bytes.",
            headers={"Content-Range": f"bytes */{artifact.size_bytes}"},
        )
    return _send(request, blobs, artifact, part, headers)


def _requested_part(request: Request, size_bytes: int, etag: str) -> ByteRange | None:
    if request.method != "GET":  # RFC 9110 section 14.2: Range means something for GET only
        return None
    sent = request.headers
    return parse_range(sent.get("range"), sent.get("if-range"), size=size_bytes, etag=etag)


def _send(
    request: Request,
    blobs: BlobStore,
    artifact: tables.Artifact,
    part: ByteRange | None,
    headers: dict[str, str],
) -> Response:
    whole = ByteRange(0, artifact.size_bytes - 1)
    headers["Content-Length"] = str((part or whole).length)
    headers["Content-Type"] = artifact.media_type
    if part is not None:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{artifact.size_bytes}"
    if request.method == "HEAD":
        return Response(headers=headers)
    try:
        file = blobs.open(artifact.sha256)
    except NotFound:  # deleted between the look at the row and now
        raise NotFound("artifact") from None
    file.seek((part or whole).first)
    return StreamingResponse(
        _Piece(file, part or whole).chunks(), status_code=200 if part is None else 206, headers=headers
    )
