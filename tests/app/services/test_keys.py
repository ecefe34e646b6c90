from __future__ import annotations

import pytest
from sqlalchemy import text

from app.core.errors import NotFound
from app.core.states import Scope
from app.services import keys
from tests.service_room import ServiceRoom


def test_the_secret_opens_what_the_key_says(room: ServiceRoom) -> None:
    with room.sessions.begin() as session:
        key, secret = keys.create(session, "tenant", "laptop", [Scope.READ])
    with room.readers() as session:
        principal = keys.authenticate(session, secret)
    assert principal is not None
    assert (principal.tenant, principal.key_id) == ("tenant", key.id)
    assert principal.may(Scope.READ)
    assert not principal.may(Scope.SUBMIT)


def test_admin_covers_every_scope(room: ServiceRoom) -> None:
    with room.sessions.begin() as session:
        _, secret = keys.create(session, "tenant", "laptop", [Scope.ADMIN])
        principal = keys.authenticate(session, secret)
    assert principal is not None and all(principal.may(scope) for scope in Scope)


def test_the_secret_is_not_in_the_database(room: ServiceRoom) -> None:
    with room.sessions.begin() as session:
        _, secret = keys.create(session, "tenant", "laptop", [Scope.READ])
    with room.engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM api_keys")).one()
    assert secret not in str(row) and secret.removeprefix("prk_") not in str(row)


@pytest.mark.parametrize("secret", ["", "prk_", "prk_unknown", "\udcff"])
def test_an_unknown_secret_opens_nothing(secret: str, room: ServiceRoom) -> None:
    with room.readers() as session:
        assert keys.authenticate(session, secret) is None


def test_an_expired_key_opens_nothing(room: ServiceRoom) -> None:
    with room.sessions.begin() as session:
        _, secret = keys.create(session, "tenant", "laptop", [Scope.READ], ttl_s=-1)
        assert keys.authenticate(session, secret) is None


def test_a_key_that_will_expire_still_opens(room: ServiceRoom) -> None:
    with room.sessions.begin() as session:
        _, secret = keys.create(session, "tenant", "laptop", [Scope.READ], ttl_s=60)
        assert keys.authenticate(session, secret) is not None


def test_a_revoked_key_opens_nothing(room: ServiceRoom) -> None:
    with room.sessions.begin() as session:
        key, secret = keys.create(session, "tenant", "laptop", [Scope.READ])
        keys.revoke(session, "tenant", key.id)
        assert keys.authenticate(session, secret) is None


def test_another_tenants_key_cannot_be_revoked(room: ServiceRoom) -> None:
    with room.sessions.begin() as session:
        key, secret = keys.create(session, "tenant", "laptop", [Scope.READ])
        with pytest.raises(NotFound):
            keys.revoke(session, "other", key.id)
        assert keys.authenticate(session, secret) is not None
