"""What uploads of teachers and datasets have in common: register the bytes, wait for the inspection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from fastapi import Request
from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api import uploads
from app.api.conditional import weak_etag
from app.api.deps import Edge
from app.api.waiting import poll
from app.core.errors import FieldError, Invalid, NotFound, ServiceError, Unavailable
from app.core.states import UploadStatus
from app.db import tables
from app.infra.blobs import StoredBlob
from app.schemas.base import Wire
from app.schemas.uploads import FileName
from app.services import keys
from app.services.principal import Principal

RETRY_AFTER_S = 2

Row = TypeVar("Row", tables.Teacher, tables.Dataset)


def plain_name(filename: str) -> str:
    """Return the name of an upload.

    Raises:
        Invalid: It is not one that can be shown anywhere.
    """
    try:
        return FileName(filename=filename).filename
    except ValidationError as error:
        detail = str(error.errors()[0]["msg"])
        errors = [FieldError("path/filename", detail)]
        raise Invalid("invalid_request", f"The file name cannot be used: {detail}.", errors=errors) from None


async def take_in(
    request: Request,
    edge: Edge,
    register: Callable[[Session, StoredBlob], tuple[Row, bool]],
    look: Callable[[Session, str], Row],
    discard: Callable[[Session, str], None],
    *,
    caller: Principal,
) -> tuple[Row, bool]:
    """Store the body, register it, and wait for its inspection within the settings' limit.

    Args:
        request: With the file as its body.
        edge: The edge's resources.
        register: Makes the row and its inspection job; returns whether the row is new.
        look: Reads the row again by its id.
        discard: Deletes the row with everything that belongs to it.
        caller: Whose key must still be good when the bytes are there, which may take minutes, and after that.

    Returns:
        The row as it was seen last, and whether it is new.

    Raises:
        ServiceError: The reader's own code, when it refused the file, or one of ``INSPECTION_FAULTS``; no row
            is kept then.
        Unauthenticated: The key has expired or was revoked meanwhile.
    """
    stored = await uploads.receive(request, edge.blobs, edge.settings.max_upload_bytes)
    row, created = await run_in_threadpool(_register, edge, caller, stored, register)

    def look_again() -> Row:
        try:
            with edge.reading() as session:
                seen = look(session, row.id)
                keys.check_again(session, caller)
                return seen
        except NotFound:
            # Refused and deleted by another request that uploaded the same bytes at the same time.
            raise Unavailable(
                "service_unavailable", "The same file was refused to another upload just now."
            ) from None

    row = await poll(
        request,
        look_again,
        lambda seen: seen.status is not UploadStatus.INSPECTING,
        edge.settings.inspect_wait_s,
    )
    if row.status is UploadStatus.REJECTED:
        error = row.error or {}
        await run_in_threadpool(_discard, edge, row.id, discard)
        raise ServiceError(
            str(error.get("code", "internal_error")), str(error.get("detail", "")), str(error.get("hint", ""))
        )
    return row, created


def _register(
    edge: Edge,
    caller: Principal,
    stored: StoredBlob,
    register: Callable[[Session, StoredBlob], tuple[Row, bool]],
) -> tuple[Row, bool]:
    with edge.sessions.begin() as session:
        keys.check_again(session, caller)
        return register(session, stored)


def _discard(edge: Edge, row_id: str, discard: Callable[[Session, str], None]) -> None:
    with suppress(NotFound), edge.sessions.begin() as session:
        discard(session, row_id)


def answer(document: Wire, row: tables.Teacher | tables.Dataset, location: str, *, created: bool) -> Response:
    """Return 201 for a new upload, 200 for a known one, 202 while the inspection goes on."""
    body = document.model_dump_json()
    headers = {"Location": location, "Cache-Control": "no-store"}
    if row.status is UploadStatus.INSPECTING:
        status = 202
        headers["Retry-After"] = str(RETRY_AFTER_S)
    else:
        status = 201 if created else 200
        headers["ETag"] = weak_etag(body.encode())
    return Response(body, status, headers, media_type="application/json")
