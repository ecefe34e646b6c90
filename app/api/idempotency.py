"""``Idempotency-Key``: a repeated request is answered again, not done again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Header
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.services import idempotency

KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="Visible ASCII, at most 255 characters, such as a UUID. Kept for 24 hours.",
        examples=["6f2b8c1e-5a70-4d5e-9d0c-1f4f5f1f0c3a"],
    ),
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Return it as a response."""
        return Response(self.body, self.status, dict(self.headers), media_type="application/json")


def fingerprint(method: str, path: str, body: str) -> str:
    """Hash a request; ``body`` is canonical, so that white space and explicit defaults do not count."""
    return hashlib.sha256(f"{method} {path}\n{body}".encode()).hexdigest()


def once(
    session: Session, tenant: str, key: str | None, request_sha256: str, act: Callable[[], Answer]
) -> tuple[Answer, bool]:
    """Do ``act`` unless this request was answered before; its effects and the memory of it commit together.

    The API may be killed at any moment: either the transaction committed, then a repetition finds the
    answer, or it did not, then there is nothing that could be there twice.

    Returns:
        The answer, and whether it is a repetition.

    Raises:
        ServiceError: ``idempotency_key_reused`` or ``idempotency_key_in_use``.
    """
    if key is None:
        return act(), False
    found = idempotency.look_up(session, tenant, key, request_sha256)
    if found is not None:
        headers = {**found.response_headers, "Idempotency-Replayed": "true"}
        return Answer(found.response_status, found.response_body, headers), True
    answer = act()
    idempotency.remember(
        session, tenant, key, request_sha256, status=answer.status, headers=answer.headers, body=answer.body
    )
    return answer, False
