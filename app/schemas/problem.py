"""The one form of every error answer: RFC 9457 with a code and a hint."""

from __future__ import annotations

from app.schemas.base import Wire


class FieldError(Wire):
    """One field of the request that was refused."""

    pointer: str
    """JSON Pointer into the body, or ``query/name``, ``path/name``, ``header/name``."""
    detail: str


class Problem(Wire):
    """Any answer outside 2xx and 3xx, as ``application/problem+json``."""

    type: str
    """``urn:proctor:problem:`` and the code."""
    title: str
    """The code in words; the same for every occurrence."""
    status: int
    detail: str
    """What happened this time."""
    code: str
    """Stable identifier to branch on."""
    hint: str
    """What to do next."""
    errors: list[FieldError]
    request_id: str
    """Quote it when you ask for help; it is also in the ``X-Request-Id`` header and in the log."""
