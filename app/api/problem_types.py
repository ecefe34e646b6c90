"""The table of problem codes: the HTTP status, title and default hint of each."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from app.core.inspection_faults import INSPECTION_FAULTS
from models.checkpoints.codes import CODES
from models.data.codes import DATA_CODES


@dataclass(frozen=True, slots=True)
class ProblemType:
    """What is the same for every occurrence of a code."""

    status: int
    title: str
    hint: str
    retry_after_s: int | None = None
    """Seconds for the ``Retry-After`` header, unless the raiser knows better."""


_OWN = {
    # The request itself.
    "malformed_body": ProblemType(400, "The body is not JSON", "Send one JSON object encoded as UTF-8."),
    "bad_request": ProblemType(400, "The request cannot be read", "Compare it with docs/http.md."),
    "content_length_invalid": ProblemType(
        400, "Content-Length is not a number", "Send the exact number of bytes of the body."
    ),
    "content_length_mismatch": ProblemType(
        400, "The body is not as long as declared", "Upload the file again; the connection may have been cut."
    ),
    "unauthenticated": ProblemType(
        401,
        "No valid API key",
        "Send 'Authorization: Bearer prk_...'; `proctor serve` prints the key when it starts.",
    ),
    "scope_missing": ProblemType(
        403, "This key may not do that", "Use a key with the scope that the detail names."
    ),
    "not_found": ProblemType(404, "Not found", "Check the id; it may have been deleted."),
    "route_not_found": ProblemType(
        404, "No such route", "The routes are listed in docs/http.md and /openapi.json."
    ),
    "report_not_available": ProblemType(
        404,
        "This job has no report",
        "Read the job's error; `proctor retry` or POST /v1/jobs/{id}/retry tries again.",
    ),
    "method_not_allowed": ProblemType(405, "Method not allowed", "The Allow header names the methods."),
    "not_acceptable": ProblemType(406, "No such representation", "The detail names the media types offered."),
    "upload_timed_out": ProblemType(408, "The upload stalled", "Upload the file again."),
    "body_timed_out": ProblemType(
        408, "The body took too long", "Send the whole body within a minute of the request's head."
    ),
    "length_required": ProblemType(
        411, "Content-Length is missing", "Send the file's size; chunked transfer coding is not accepted."
    ),
    "precondition_failed": ProblemType(
        412,
        "It is not the version that If-Match names",
        "Get it again, see what has changed, then send the request with the new ETag.",
    ),
    "body_too_large": ProblemType(413, "The body is too large", "The detail names the limit."),
    "unsupported_media_type": ProblemType(
        415,
        "The body has the wrong media type",
        "JSON bodies are application/json; uploads are the raw bytes of one file, not a form.",
    ),
    "range_not_satisfiable": ProblemType(
        416, "The range lies outside the file", "The Content-Range header names the file's size."
    ),
    "invalid_request": ProblemType(422, "The request is not valid", "Each entry of errors names a field."),
    "digest_mismatch": ProblemType(
        422, "The bytes do not match Content-Digest", "Upload the file again; it changed on the way."
    ),
    "cursor_invalid": ProblemType(422, "Not a page cursor", "Use next_after of the page before."),
    # Idempotency.
    "idempotency_key_reused": ProblemType(
        422,
        "This Idempotency-Key came with another body",
        "Use a fresh key for a new request, or send the first body again.",
    ),
    "idempotency_key_in_use": ProblemType(
        409,
        "A request with this Idempotency-Key is being answered",
        "Send the same request again in a second.",
        retry_after_s=1,
    ),
    # The state of things.
    "job_not_finished": ProblemType(
        409,
        "The job has not finished",
        "Wait for it: follow its events, or ask again later.",
        retry_after_s=5,
    ),
    "upload_not_ready": ProblemType(
        409, "The upload is still being inspected", "Try again in a moment.", retry_after_s=2
    ),
    "upload_in_use": ProblemType(
        409, "A job that has not finished uses it", "Cancel that job, or wait until it ends."
    ),
    "job_not_cancelable": ProblemType(
        409, "The job cannot be canceled", "Wait until it ends, then delete the upload."
    ),
    "job_not_retryable": ProblemType(409, "The job cannot be retried", "Submit a new job."),
    # The recipe.
    "recipe_invalid": ProblemType(
        422, "The recipe contradicts itself or the data", "The hint of the answer says what to change."
    ),
    "data_missing": ProblemType(
        422, "The method needs images that were not given", "Upload a dataset, or choose another method."
    ),
    # More than one tenant's share.
    "too_many_streams": ProblemType(
        429,
        "Too many streams of events are open",
        "Close one, such as a `proctor watch`, or ask for pages of events as JSON.",
        retry_after_s=15,
    ),
    # Our side.
    "internal_error": ProblemType(
        500, "Something went wrong on our side", "Try again; if it stays, report the request_id."
    ),
    "infrastructure": ProblemType(
        503,
        "The worker disappeared",
        "Send the same request again; look at the worker's log.",
        retry_after_s=5,
    ),
    "service_unavailable": ProblemType(
        503, "The service is not ready", "Send the same request again shortly.", retry_after_s=5
    ),
    "sandbox_unavailable": ProblemType(
        503,
        "The file may not be opened on this machine",
        "Ask the operator: the worker lacks a part of its sandbox (docs/threat-model.md).",
    ),
    "storage_full": ProblemType(
        507,
        "No space left",
        "Delete teachers or datasets, which frees space within three hours, or ask the operator.",
    ),
}

#: Of inspections that failed, and of nothing else. A fault of Proctor's own is 500; the others may pass.
_INSPECTION = {
    "child_crashed": (500, "The process of the inspection ended before it was done"),
    "child_killed": (503, "The process of the inspection was killed, most likely for lack of memory"),
    "child_protocol": (500, "The process of the inspection said something that means nothing"),
    "file_limit": (503, "The process of the inspection could open no further file"),
    "host_disk_full": (507, "The disk of a worker's machine is full"),
    "out_of_memory": (503, "There was not enough memory left for the inspection"),
    "output_invalid": (500, "The process of the inspection left no file, or another one, than it said"),
    "output_limit": (500, "The process of the inspection said more than it may"),
    "program_missing": (503, "No worker can start the process of the inspection"),
    "sandbox_violation": (500, "The process of the inspection was refused a file or a system call"),
    "thread_limit": (503, "The process of the inspection could start no further thread"),
    "time_limit": (503, "The inspection was not done in time"),
}

#: A reader's refusal means 422, the file was understood well enough to refuse it, except for these.
_READER_STATUS = {
    "unsupported_format": 415,
    "format_unknown": 415,
    "limit_exceeded": 413,
    "data_format_unknown": 415,
    "data_limit_exceeded": 413,
}

PROBLEM_TYPES = MappingProxyType(
    {
        code: ProblemType(_READER_STATUS.get(code, 422), refusal.meaning.rstrip("."), refusal.hint)
        for code, refusal in (DATA_CODES | CODES).items()
    }
    | {code: ProblemType(*kind, INSPECTION_FAULTS[code]) for code, kind in _INSPECTION.items()}
    | _OWN
)
"""Every code that the edge, a service, a reader or an inspection may answer with."""


def problem_type(code: str) -> ProblemType:
    """Return what is common to all occurrences of ``code``.

    The readers of checkpoints and images refuse files with codes of their own; those not in the table
    are all 422: the request was understood, the file is not acceptable.
    """
    found = PROBLEM_TYPES.get(code)
    return found or ProblemType(422, code.replace("_", " ").capitalize(), "")
