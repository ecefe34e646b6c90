"""API keys."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from app.core.errors import NotFound, Unauthenticated
from app.core.ids import new_id
from app.core.states import Scope
from app.db.tables import ApiKey
from app.db.types import db_now
from app.services.principal import Principal

SECRET_PREFIX = "prk_"  # noqa: S105 - the public half: lets scanners of source code find leaked keys


def create(
    session: Session, tenant: str, name: str, scopes: Iterable[Scope], ttl_s: float | None = None
) -> tuple[ApiKey, str]:
    """Make a key.

    Args:
        session: The caller's transaction.
        tenant: Whose things the key reaches.
        name: For people.
        scopes: What the key may do.
        ttl_s: Seconds until it expires; None for never.

    Returns:
        The row, and the secret, which cannot be read again.
    """
    secret = SECRET_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        id=new_id("key"),
        tenant=tenant,
        name=name,
        secret_sha256=_digest(secret),
        scopes=sorted(scopes),
        expires_at=None if ttl_s is None else db_now(ttl_s),
    )
    session.add(key)
    session.flush()
    return key, secret


def authenticate(session: Session, secret: str) -> Principal | None:
    """Find who holds ``secret``; None when it is unknown, expired or revoked.

    Secrets carry 256 random bits, so one round of SHA-256 is enough, and the look-up by hash leaks nothing
    through its timing.
    """
    key = session.scalar(select(ApiKey).where(ApiKey.secret_sha256 == _digest(secret), *_valid()))
    if key is None:
        return None
    return Principal(key.tenant, frozenset(map(Scope, key.scopes)), key.id)


def check_again(session: Session, principal: Principal) -> None:
    """Make sure that the key which was good when a long request began still is.

    Raises:
        Unauthenticated: It has expired or was revoked meanwhile.
    """
    if session.scalar(select(ApiKey.id).where(ApiKey.id == principal.key_id, *_valid())) is None:
        raise Unauthenticated


def revoke(session: Session, tenant: str, key_id: str) -> None:
    """End a key for good.

    Raises:
        NotFound: There is no such key for this tenant.
    """
    found = session.execute(
        update(ApiKey)
        .where(ApiKey.tenant == tenant, ApiKey.id == key_id)
        .values(revoked_at=db_now())
        .returning(ApiKey.id)
    ).first()
    if found is None:
        raise NotFound("key")


def _valid() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return ApiKey.revoked_at.is_(None), ApiKey.expires_at.is_(None) | (ApiKey.expires_at > db_now())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
