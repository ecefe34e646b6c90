"""Every answer outside 2xx and 3xx: RFC 9457 problem details with a stable code and a hint."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import compile_path

from app.api.problem_types import problem_type
from app.core.errors import NotFound, ServiceError
from app.db.base import DATABASE_AWAY, is_full
from app.infra.blobs import StoreUnreachable
from app.schemas.problem import FieldError, Problem
from models.errors import ProctorError

MEDIA_TYPE = "application/problem+json"
MAX_FIELD_ERRORS = 20
"""A body with thousands of wrong fields gets an answer of bounded size."""

_CODE_OF_STATUS = {
    400: "bad_request",
    404: "route_not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "body_timed_out",
    413: "body_too_large",
    415: "unsupported_media_type",
}


def request_id_of(request: Request) -> str:
    """Return the id that the request context gave to this request."""
    return str(getattr(request.state, "request_id", ""))


def make_problem(
    code: str, request_id: str, *, detail: str = "", hint: str = "", errors: Iterable[FieldError] = ()
) -> Problem:
    """Fill in the problem of one occurrence; detail and hint default to the code's own words."""
    kind = problem_type(code)
    return Problem(
        type=f"urn:proctor:problem:{code}",
        title=kind.title,
        status=kind.status,
        detail=detail or f"{kind.title}.",
        code=code,
        hint=hint or kind.hint,
        errors=list(errors),
        request_id=request_id,
    )


def problem_response(
    request: Request,
    code: str,
    *,
    detail: str = "",
    hint: str = "",
    errors: Iterable[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer of one occurrence, with the headers that its status calls for."""
    kind = problem_type(code)
    request_id = request_id_of(request)
    sent = {"X-Request-Id": request_id, "Cache-Control": "no-store"}
    if kind.retry_after_s is not None:
        sent["Retry-After"] = str(kind.retry_after_s)
    if kind.status == 401:
        sent["WWW-Authenticate"] = 'Bearer realm="proctor"'
    sent |= headers or {}
    body = make_problem(code, request_id, detail=detail, hint=hint, errors=errors).model_dump_json()
    return Response(body, status_code=kind.status, headers=sent, media_type=MEDIA_TYPE)


def pointer_of(location: tuple[int | str, ...]) -> str:
    """Write a Pydantic location as a JSON Pointer (RFC 6901) or as the name of a parameter."""
    if location and location[0] == "body":
        parts = (str(part).replace("~", "~0").replace("/", "~1") for part in location[1:])
        return "".join(f"/{part[:64]}" for part in parts)
    return "/".join(str(part)[:64] for part in location)


def _field_errors(raised: Iterable[Mapping[str, Any]]) -> list[FieldError]:
    # Only Pydantic's sentence goes out, never the input: it may hold a credential, or megabytes.
    return [
        FieldError(pointer=pointer_of(tuple(error["loc"])), detail=str(error["msg"])[:300])
        for error, _ in zip(raised, range(MAX_FIELD_ERRORS), strict=False)
    ]


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )


def _on_service_error(request: Request, error: ServiceError) -> Response:
    errors = [FieldError(pointer=entry.pointer, detail=entry.detail) for entry in error.errors]
    return problem_response(request, error.code, detail=error.detail, hint=error.hint, errors=errors)


def _on_library_error(request: Request, error: ProctorError) -> Response:
    return problem_response(request, error.code, detail=error.detail, hint=error.hint)


def _on_validation_error(request: Request, error: RequestValidationError) -> Response:
    raised = error.errors()
    if any(entry["type"] == "json_invalid" for entry in raised):
        return problem_response(request, "malformed_body")
    if any(tuple(entry["loc"]) == ("body",) for entry in raised) and error.body and not _is_json(request):
        return problem_response(request, "unsupported_media_type")
    for entry in raised:
        if entry["loc"][0] == "path":  # what is not even of the form of an id is nothing we have
            return _on_service_error(request, NotFound(str(entry["loc"][1]).removesuffix("_id")))
    errors = _field_errors(raised)
    first = errors[0]
    detail = f"{first.pointer or 'The body'}: {first.detail}"
    return problem_response(request, "invalid_request", detail=detail, errors=errors)


def _on_http_exception(request: Request, error: HTTPException) -> Response:
    code = _CODE_OF_STATUS.get(
        error.status_code, "bad_request" if error.status_code < 500 else "internal_error"
    )
    detail = str(error.detail) if code in {"body_timed_out", "body_too_large"} else ""
    headers = dict(error.headers or {})
    if code == "method_not_allowed":  # the framework names the methods of the first route that fits
        headers["Allow"] = ", ".join(sorted(_allowed_methods(request)))
    return problem_response(request, code, detail=detail, headers=headers)


def _allowed_methods(request: Request) -> set[str]:
    path = request.url.path
    contexts = iter_route_contexts(request.app.routes)
    return {
        method
        for context in contexts
        if context.path is not None and compile_path(context.path)[0].match(path)
        for method in context.methods or ()
    }


def _on_database_unreachable(request: Request, error: Exception) -> Response:
    if is_full(error):
        detail = "The disk that the database lies on is full."
        hint = "Its operator has to make room on the disk of the home."
        return problem_response(request, "storage_full", detail=detail, hint=hint)
    return problem_response(request, "service_unavailable", detail="The database does not answer.")


def _on_blobs_unreachable(request: Request, _error: Exception) -> Response:
    return problem_response(request, "service_unavailable", detail="The blob store does not answer.")


def _on_os_error(request: Request, error: OSError) -> Response:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return problem_response(request, "storage_full")
    raise error


def _on_client_disconnect(request: Request, _error: ClientDisconnect) -> Response:
    # Nobody reads this answer; it keeps a dropped connection from being logged as our failure.
    return problem_response(request, "content_length_mismatch")


def _on_any_other(request: Request, _error: Exception) -> Response:
    return problem_response(request, "internal_error")


def install(application: FastAPI) -> None:
    """Answer every error of ``application`` as a problem."""
    handlers: dict[Any, Any] = {
        ServiceError: _on_service_error,
        ProctorError: _on_library_error,
        RequestValidationError: _on_validation_error,
        HTTPException: _on_http_exception,
        **dict.fromkeys(DATABASE_AWAY, _on_database_unreachable),
        StoreUnreachable: _on_blobs_unreachable,
        OSError: _on_os_error,
        ClientDisconnect: _on_client_disconnect,
        Exception: _on_any_other,
    }
    for kind, handler in handlers.items():
        application.add_exception_handler(kind, handler)
