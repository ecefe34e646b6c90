"""JSON answers with an entity tag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import Header, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.api.conditional import check_if_match, matches, weak_etag

IfMatchHeader = Annotated[
    str | None,
    Header(alias="If-Match", description="Only if this is the entity tag; `*` is that of whatever exists."),
]


def check_version(if_match: str | None, document: BaseModel) -> None:
    """Make sure that a document to be changed is the version that the caller has seen.

    Raises:
        ServiceError: ``precondition_failed``, when it is another.
    """
    check_if_match(if_match, weak_etag(document.model_dump_json().encode()))


def tagged(request: Request, document: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    """Answer 200 with a document and its ``ETag``, or 304 if the caller has this version."""
    body = document.model_dump_json().encode()
    etag = weak_etag(body)
    sent = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization", **(headers or {})}
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=sent)
    return Response(body, headers=sent, media_type="application/json")
