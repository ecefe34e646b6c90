"""The OpenAPI document: problems with examples for every status, one schema for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.problem_types import PROBLEM_TYPES
from app.api.problems import MEDIA_TYPE, make_problem
from app.schemas.problem import FieldError, Problem

Responses = dict[int | str, dict[str, Any]]

_EXAMPLE_REQUEST_ID = "req_5f2b1c9a7d3e4f60a1b2c3d4"
_EXAMPLE_ERRORS = {
    "invalid_request": [FieldError(pointer="/recipe/seed", detail="Input should be a valid integer")]
}

DESCRIPTION = """\
Upload a suspect teacher network, get a verdict about backdoors, download a defended student and the evidence.
The contract, with examples and every error code, is written down in docs/http.md.
"""


def problems(*codes: str) -> Responses:
    """Document the problems an operation may answer with, one example each, grouped by status."""
    responses: Responses = {}
    for code in codes:
        kind = PROBLEM_TYPES[code]
        example = make_problem(code, _EXAMPLE_REQUEST_ID, errors=_EXAMPLE_ERRORS.get(code, ()))
        response = responses.setdefault(kind.status, {"description": kind.title, "content": {MEDIA_TYPE: {}}})
        if kind.retry_after_s is not None:
            response["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
        content = response["content"][MEDIA_TYPE]
        content["schema"] = {"$ref": "#/components/schemas/Problem"}
        content.setdefault("examples", {})[code] = {
            "summary": kind.title,
            "value": example.model_dump(mode="json"),
        }
    return responses


#: What every operation under /v1 may answer.
COMMON = problems(
    "unauthenticated", "scope_missing", "invalid_request", "internal_error", "service_unavailable"
)

#: What every operation that answers pages by cursor may answer.
LISTED = COMMON | problems("invalid_request", "cursor_invalid")


@dataclass(frozen=True, slots=True)
class UploadDocumentation:
    """What all uploads have in common in the document."""

    problems: Responses

    @staticmethod
    def request_body(description: str) -> dict[str, Any]:
        """Document a body of raw bytes, and the header that guards it."""
        binary = {"schema": {"type": "string", "format": "binary"}}
        digest = {
            "name": "Content-Digest",
            "in": "header",
            "description": "RFC 9530; a sha-256 member is compared with what arrived.",
            "schema": {"type": "string"},
            "example": "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
        }
        body = {"required": True, "description": description, "content": {"application/octet-stream": binary}}
        return {"requestBody": body, "parameters": [digest]}


UPLOAD = UploadDocumentation(
    problems(
        "content_length_invalid",
        "content_length_mismatch",
        "upload_timed_out",
        "length_required",
        "body_too_large",
        "unsupported_media_type",
        "invalid_request",
        "digest_mismatch",
        "format_unknown",
        "internal_error",
        "service_unavailable",
        "sandbox_unavailable",
        "time_limit",
        "out_of_memory",
        "host_disk_full",
        "storage_full",
    )
)


def link(operation_id: str, parameter: str, description: str, pointer: str = "/id") -> dict[str, Any]:
    """Link a response to the operation that takes an id out of its body."""
    return {
        "operationId": operation_id,
        "parameters": {parameter: f"$response.body#{pointer}"},
        "description": description,
    }


def job_links() -> dict[str, Any]:
    """Link a job's document to what can be done with it."""
    return {
        "get": link("get_job", "job_id", "The job as it is now."),
        "events": link("list_job_events", "job_id", "What happens to it."),
        "cancel": link("cancel_job", "job_id", "Stop it."),
        "report": link("get_job_report", "job_id", "Its report, when it has succeeded."),
        "artifacts": link("list_job_artifacts", "job_id", "Its files, when it has succeeded."),
    }


def install(application: FastAPI) -> None:
    """Make ``application.openapi()`` build the document once, with the problem schema in its components."""

    def build() -> dict[str, Any]:
        if application.openapi_schema is None:
            document = get_openapi(
                title=application.title,
                version=application.version,
                description=DESCRIPTION,
                routes=application.routes,
                license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
                tags=application.openapi_tags,
                servers=[{"url": "/"}],
            )
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas |= schema.pop("$defs", {}) | {"Problem": schema}
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
            application.openapi_schema = document
        return application.openapi_schema

    application.openapi = build  # type: ignore[method-assign]
