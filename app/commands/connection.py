"""Which server a command talks to, and with which key."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import click

from app.client import ProctorClient
from app.commands.options import home_option, settings_of
from app.commands.outcome import CommandError
from app.core.settings import Settings
from app.home import read_key, read_server


def with_client(function: Callable[..., int]) -> Callable[..., int]:
    """Add ``--url``, ``--key`` and ``--home``; the callback gets a connected ``client`` instead of them."""

    @click.option(
        "--url", envvar="PROCTOR_URL", show_envvar=True, help="Server; without it the one on the home."
    )
    @click.option(
        "--key",
        envvar="PROCTOR_API_KEY",
        show_envvar=True,
        help="API key; without it the one in the home, for the home's server.",
    )
    @home_option
    @wraps(function)
    def connected(*, url: str | None, key: str | None, home: Path | None, **given: object) -> int:
        with connect(settings_of(home=home), url, key) as client:
            return function(client=client, **given)

    return connected


def connect(settings: Settings, url: str | None, key: str | None) -> ProctorClient:
    """Make a client for the server the user means; nothing is sent yet.

    The key in the home is an administrator's: it goes to the home's own server and to no other.

    Raises:
        CommandError: If there is no key to be found, or the address is not one.
    """
    server = read_server(settings.home)
    own = server.url if server is not None else f"http://{settings.host}:{settings.port}"
    url = own if url is None else url
    if not url.startswith(("http://", "https://")):
        raise CommandError(
            f"{url!r} is not an address of a server.", code="bad_url", hint="Write it as http://host:port."
        )
    if not key and url.rstrip("/") != own:
        raise CommandError(
            f"There is no API key for {url}: the one in the home is for {own} alone.",
            code="key_missing",
            hint="Give that server's key with --key or PROCTOR_API_KEY.",
        )
    key = key or read_key(settings.key_file)
    if key is None:
        raise CommandError(
            f"There is no API key in {settings.key_file}.",
            code="key_missing",
            hint="Start `proctor serve` once, or give a key with --key or PROCTOR_API_KEY.",
        )
    return ProctorClient(url, key)
