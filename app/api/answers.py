"""JSON answers with an entity tag."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response

from app.api.conditional import matches, weak_etag


def tagged(request: Request, document: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    """Answer 200 with a document and its ``ETag``, or 304 if the caller has this version."""
    body = document.model_dump_json().encode()
    etag = weak_etag(body)
    sent = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization", **(headers or {})}
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=sent)
    return Response(body, headers=sent, media_type="application/json")
