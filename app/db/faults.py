"""What is wrong with a database that cannot be used, and what to do about it."""

from __future__ import annotations

import sqlite3

from alembic.script.revision import ResolutionError
from sqlalchemy.exc import OperationalError

from app.core.settings import Settings, embedded_urls
from app.db.base import parse_url

_SERVER_HINT = "Check PROCTOR_DATABASE_URL and that the server is up; `proctor doctor` tells more."


def explain_database(settings: Settings, error: Exception) -> tuple[str, str]:
    """Say what is wrong in a sentence, and what to do in another.

    Args:
        settings: Name the database.
        error: What bringing it up to date raised.
    """
    if isinstance(error.__cause__, ResolutionError):
        return explain_newer(settings, str(error.__cause__.argument))
    url = parse_url(settings.database_url)
    reason = getattr(error, "orig", None) or error  # without the statement that SQLAlchemy adds
    if isinstance(error, OSError):
        reason = error.strerror or error
    told = (str(reason).splitlines() or [type(error).__name__])[0]
    if url.get_backend_name() != "sqlite":
        return f"The database cannot be used: {told}", _SERVER_HINT
    # SQLite does not get at the file: it is locked, may not be written, or the disk fails.
    if isinstance(error, OSError | OperationalError):
        hint = "See that this user may read and write that file and that nothing else holds it"
    else:
        hint = "Put a good copy of that file in its place, or move it away if it is none of Proctor's"
    return f"The database {url.database} cannot be used: {told}.", f"{hint}, or {_elsewhere(settings)}."


def explain_newer(settings: Settings, revision: str) -> tuple[str, str]:
    """Say the same of a database at a revision that this version does not have."""
    url = parse_url(settings.database_url)
    sqlite = url.get_backend_name() == "sqlite"
    where = url.database if sqlite else url.render_as_string(hide_password=True)
    detail = f"The database {where} was written by a newer Proctor: this one does not know {revision!r}."
    return detail, f"Upgrade Proctor, or {_elsewhere(settings)}."


def hint_without_settings(error: Exception) -> str:
    """Say what to do where it is not known which database failed."""
    if isinstance(getattr(error, "orig", None), sqlite3.Error):
        return "See that the home's proctor.db is whole and may be written to; `proctor doctor` tells more."
    return _SERVER_HINT


def _elsewhere(settings: Settings) -> str:
    if settings.database_url == embedded_urls(settings.home)["database_url"]:
        return "take another home with --home"
    return "name another database with PROCTOR_DATABASE_URL"
