"""Answers that are given again when a request is repeated under its Idempotency-Key."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core.errors import Conflict, Invalid
from app.db.tables import IdempotencyKey
from app.db.types import db_now

KEPT_S = 24 * 3600.0


def look_up(session: Session, tenant: str, key: str, request_sha256: str) -> IdempotencyKey | None:
    """Return the answer that was given under ``key``, or None when the request is new.

    Raises:
        Invalid: ``idempotency_key_reused``, when the key came with another request.
    """
    found = session.scalar(
        select(IdempotencyKey).where(
            IdempotencyKey.tenant == tenant, IdempotencyKey.key == key, IdempotencyKey.expires_at > db_now()
        )
    )
    if found is not None and found.request_sha256 != request_sha256:
        raise Invalid("idempotency_key_reused", "This Idempotency-Key came with another request.")
    return found


def remember(
    session: Session,
    tenant: str,
    key: str,
    request_sha256: str,
    *,
    status: int,
    headers: Mapping[str, str],
    body: str,
) -> None:
    """Keep an answer, in the same transaction as what the request made: both are there or neither.

    Raises:
        Conflict: ``idempotency_key_in_use``, when the same request is being answered at this moment.
    """
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.tenant == tenant, IdempotencyKey.key == key, IdempotencyKey.expires_at <= db_now()
        )
    )
    try:
        with session.begin_nested():
            session.add(
                IdempotencyKey(
                    tenant=tenant,
                    key=key,
                    request_sha256=request_sha256,
                    response_status=status,
                    response_headers=dict(headers),
                    response_body=body,
                    expires_at=db_now(KEPT_S),
                )
            )
    except IntegrityError:
        raise Conflict(
            "idempotency_key_in_use", "A request with this Idempotency-Key is being answered."
        ) from None


def expire(session: Session) -> None:
    """Delete the answers that were kept long enough."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.expires_at <= db_now()))
