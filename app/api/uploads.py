"""Take a file from the wire to the blob store without ever holding it in memory."""

from __future__ import annotations

import asyncio
import hashlib
import time

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from app.api.conditional import parse_sha256_digest
from app.core.errors import ServiceError
from app.infra.blobs import BlobStore, BlobWriter, StoredBlob

WRITE_BYTES = 256 * 1024
"""Pieces from the socket are 64 KiB; collecting four saves most changes of thread. With 1 MiB, eight uploads
at once grew the process by 26 MiB instead of 9."""
IDLE_TIMEOUT_S = 60.0
"""A connection that sends nothing for so long is given up, and its temporary file with it."""
MIN_BYTES_PER_S = 1024
"""After that time, on the average: a byte a minute would keep a connection and a file for years."""


def declared_length(request: Request, limit_bytes: int) -> int:
    """Check the headers of an upload before its body is read.

    Raises:
        ServiceError: ``length_required``, ``content_length_invalid``, ``body_too_large``,
            ``unsupported_media_type`` or, with a part of a file, ``bad_request``.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith("multipart/"):
        raise ServiceError(
            "unsupported_media_type", "The body is a form; an upload is the bytes of one file."
        )
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ServiceError("unsupported_media_type", "The body is compressed by Content-Encoding.")
    if "content-range" in request.headers:  # RFC 9110 section 14.5; curl -C sends the rest of a file so
        raise ServiceError(
            "bad_request",
            "The body is a part of a file by its Content-Range; an upload is the whole file.",
            "Upload the whole file again.",
        )
    text = request.headers.get("content-length")
    if text is None:
        raise ServiceError("length_required", "The request has no Content-Length.")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ServiceError("content_length_invalid", "Content-Length is not a number of bytes.")
    _check_limit(int(text), limit_bytes)
    return int(text)


def _check_limit(size_bytes: int, limit_bytes: int) -> None:
    if size_bytes > limit_bytes:
        raise ServiceError("body_too_large", f"An upload may have {limit_bytes} bytes.")


def declared_digest(request: Request) -> str | None:
    """Read the SHA-256 of ``Content-Digest`` (RFC 9530), if there is one.

    Raises:
        ServiceError: ``invalid_request``.
    """
    header = request.headers.get("content-digest")
    try:
        return None if header is None else parse_sha256_digest(header)
    except ValueError as error:
        raise ServiceError("invalid_request", f"Content-Digest cannot be read: {error}.") from None


async def receive(request: Request, blobs: BlobStore, limit_bytes: int) -> StoredBlob:
    """Write the request's body to the blob store.

    Nothing stays behind when the client goes away, stalls, or sent something other than it declared.

    Raises:
        ServiceError: As of ``declared_length``; ``content_length_mismatch``, ``digest_mismatch``,
            ``upload_timed_out``.
        ClientDisconnect: The client went away.
    """
    length = declared_length(request, limit_bytes)
    digest = declared_digest(request)
    writer = await run_in_threadpool(lambda: blobs.open_for_write(limit_bytes=limit_bytes))
    try:
        if await _copy(request, writer, length, hashed=digest is not None) != digest:
            raise ServiceError(
                "digest_mismatch", "The SHA-256 of what arrived is not the one in Content-Digest."
            )
        return await run_in_threadpool(writer.finish)
    finally:
        # After a finished write there is nothing left to discard. Not awaited in a thread: a canceled
        # request could not wait for it, and it only closes and removes one file.
        writer.discard()


async def _copy(request: Request, writer: BlobWriter, length: int, *, hashed: bool) -> str | None:
    # The store hashes for itself, but tells only when the blob is in place, which may be too late.
    digest = hashlib.sha256() if hashed else None
    pieces = request.stream()
    collected = bytearray()
    received = 0
    started = time.monotonic()
    while True:
        ahead_s = received / MIN_BYTES_PER_S - (time.monotonic() - started)
        try:
            async with asyncio.timeout(IDLE_TIMEOUT_S + min(0.0, ahead_s)):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise ServiceError(
                "upload_timed_out",
                f"Nothing arrived for {IDLE_TIMEOUT_S:.0f} seconds, or less than {MIN_BYTES_PER_S} bytes a "
                "second.",
            ) from None
        if piece is None:
            break
        received += len(piece)
        if received > length:
            break
        collected += piece
        if len(collected) >= WRITE_BYTES:
            await run_in_threadpool(_write, writer, digest, bytes(collected))
            collected.clear()
    if received != length:
        raise ServiceError(
            "content_length_mismatch", f"Content-Length says {length} bytes; {received} arrived."
        )
    await run_in_threadpool(_write, writer, digest, bytes(collected))
    return digest.hexdigest() if digest is not None else None


def _write(writer: BlobWriter, digest: hashlib._Hash | None, piece: bytes) -> None:
    writer.write(piece)
    if digest is not None:
        digest.update(piece)
