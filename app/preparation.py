"""What must be done before anything can run on a home: bring the database up to date, have a key."""

from __future__ import annotations

from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from app.core.errors import Unavailable
from app.core.settings import Settings
from app.core.states import Scope
from app.db import migrate
from app.db.base import make_engine, make_session_factory
from app.db.faults import explain_database
from app.home import read_key, write_private
from app.services import keys

#: The one tenant of an embedded service.
TENANT = "default"


def prepare_database(settings: Settings) -> None:
    """Create the tables or bring them up to date; does nothing if they are.

    Raises:
        Unavailable: ``home_unusable`` or ``database_unavailable``.
    """
    settings.make_home()
    try:
        migrate.upgrade(settings.database_url)
    except (SQLAlchemyError, CommandError, OSError) as error:
        detail, hint = explain_database(settings, error)
        raise Unavailable("database_unavailable", detail, hint) from error


def ensure_key(settings: Settings) -> str:
    """Return the key in the home's key file, made anew if it is missing or no longer valid."""
    engine = make_engine(settings.database_url)
    try:
        with make_session_factory(engine)() as session, session.begin():
            kept = read_key(settings.key_file)
            if kept is not None and keys.authenticate(session, kept) is not None:
                return kept
            _, secret = keys.create(session, TENANT, "first key", [Scope.ADMIN])
        write_private(settings.key_file, secret + "\n")
        return secret
    finally:
        engine.dispose()
