"""``proctor keys``: make, list and revoke API keys; works on the database itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.commands.options import home_option, settings_of
from app.commands.outcome import CommandError, ExitCode, Output, proctor_command
from app.core.errors import NotFound
from app.core.settings import embedded_urls
from app.core.states import Scope
from app.db.base import make_engine, make_session_factory, parse_url
from app.db.tables import ApiKey
from app.preparation import TENANT, prepare_database
from app.services import keys

#: A century: a later moment may not be one that the database can tell.
MAX_TTL_DAYS = 36_500


def _number(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and math.isnan(value):  # is neither below a limit nor above it
        raise click.BadParameter("nan is no number of days.", ctx, param)
    return value


def _word(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip() or not value.isprintable():  # bytes that are no UTF-8 are not printable
        raise click.BadParameter("It takes letters that can be read.", ctx, param)
    return value


tenant_option = click.option(
    "--tenant", default=TENANT, show_default=True, callback=_word, help="Whose things it reaches."
)


@click.group("keys")
def command() -> None:
    """Make, list and revoke API keys. Works on the database, so no key is needed."""


@contextmanager
def _transaction(home: Path | None, *, kept: bool = False) -> Iterator[Session]:
    """Open the database, made anew if need be; ``kept`` where nothing can be in one that is."""
    settings = settings_of(home=home)
    own = embedded_urls(settings.home)["database_url"]
    if kept and settings.database_url == own and not Path(parse_url(own).database or "").exists():
        raise CommandError(
            f"There is no home of Proctor at {settings.home}: it has no proctor.db.",
            code="home_missing",
            hint="Name the folder that `proctor serve` keeps everything in with --home or PROCTOR_HOME.",
        )
    prepare_database(settings)
    engine = make_engine(settings.database_url)
    try:
        with make_session_factory(engine)() as session, session.begin():
            yield session
    finally:
        engine.dispose()


@proctor_command("create")
@click.argument("name", callback=_word)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    default=("submit", "read"),
    show_default=True,
    help="What it may do; repeatable.",
)
@click.option(
    "--ttl-days",
    type=click.FloatRange(min=0, max=MAX_TTL_DAYS, min_open=True),
    callback=_number,
    help="Expires after so many days.",
)
@tenant_option
@home_option
def create(
    *,
    output: Output,
    name: str,
    scopes: tuple[str, ...],
    ttl_days: float | None,
    tenant: str,
    home: Path | None,
) -> int:
    """Make a key called NAME. The secret is shown once and cannot be read again."""
    ttl_s = None if ttl_days is None else ttl_days * 86_400
    with _transaction(home) as session:
        key, secret = keys.create(session, tenant, name, [Scope(scope) for scope in scopes], ttl_s)
        document = {"id": key.id, "name": name, "scopes": list(key.scopes), "secret": secret}
    output.emit(document, f"{document['id']}  {secret}")
    return ExitCode.ACCEPTED


@proctor_command("list")
@tenant_option
@home_option
def list_keys(*, output: Output, tenant: str, home: Path | None) -> int:
    """List keys, newest first; secrets are not kept and cannot be shown."""
    with _transaction(home, kept=True) as session:
        rows = session.scalars(select(ApiKey).where(ApiKey.tenant == tenant).order_by(ApiKey.id.desc()))
        documents = [
            {
                "id": row.id,
                "name": row.name,
                "scopes": list(row.scopes),
                "expires_at": row.expires_at,
                "revoked_at": row.revoked_at,
            }
            for row in rows
        ]
    table = Table("key", "name", "scopes", "expires", "revoked")
    for key in documents:
        shown = (" ".join(value) if isinstance(value, list) else str(value or "") for value in key.values())
        table.add_row(*map(escape, shown))
    output.emit(documents, table)
    return ExitCode.ACCEPTED


@proctor_command("revoke")
@click.argument("key_id", metavar="KEY_ID")
@tenant_option
@home_option
def revoke(*, output: Output, key_id: str, tenant: str, home: Path | None) -> int:
    """End a key for good."""
    try:
        with _transaction(home, kept=True) as session:
            keys.revoke(session, tenant, key_id)
    except NotFound as error:
        raise CommandError(
            error.detail, code=error.code, hint="`proctor keys list` shows the ids."
        ) from error
    output.emit({"id": key_id, "revoked": True}, f"{key_id} is revoked.")
    return ExitCode.ACCEPTED


command.add_command(create)
command.add_command(list_keys)
command.add_command(revoke)
