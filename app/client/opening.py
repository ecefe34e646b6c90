"""Open a connection pool, and say which of address, key and environment does not allow it."""

from __future__ import annotations

import re

import httpx

from app.client.errors import UnusableError

# The server sends a keep-alive comment every 15 s; four missing in a row mean that the connection is dead.
_TIMEOUT = httpx.Timeout(connect=5.0, read=60.0, write=60.0, pool=5.0)
_VISIBLE = re.compile(r"[\x21-\x7e]+")


def open_http(url: str, key: str, transport: httpx.BaseTransport | None) -> httpx.Client:
    """Make the client; nothing is sent yet.

    Raises:
        UnusableError: ``bad_url``, ``bad_key``, or ``bad_environment`` if a variable that names a proxy or
            certificates is wrong.
    """
    try:
        httpx.URL(url).host.encode(
            "idna"
        )  # as the look-up of the name does, which would raise the same later
    except (httpx.InvalidURL, ValueError) as error:
        detail = f"{url!r} is not an address of a server: {error}."
        raise UnusableError("bad_url", detail, "Write it as http://127.0.0.1:8642.") from error
    if not _VISIBLE.fullmatch(key):
        raise UnusableError(
            "bad_key",
            "The API key has a blank, a line break or another character that no key has.",
            "Copy it again, without what stands before or after it.",
        )
    try:
        return httpx.Client(
            base_url=url,
            transport=transport,
            timeout=_TIMEOUT,
            headers={"Authorization": f"Bearer {key}", "User-Agent": "proctor-client"},
        )
    except (httpx.InvalidURL, ImportError, ValueError, OSError) as error:
        raise UnusableError(
            "bad_environment",
            f"No connection can be opened: {error}",
            "Check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR.",
        ) from error
