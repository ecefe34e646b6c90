"""Read answers: only what a Proctor server sends is taken for an answer."""

from __future__ import annotations

from typing import Any

import httpx

from app.client.errors import NotProctorError, ProblemError


def raise_for_problem(response: httpx.Response) -> None:
    """Raise what the server says went wrong.

    Raises:
        ProblemError: If the status is 400 or above.
        NotProctorError: If it sends on to another address, which no Proctor server does.
    """
    if response.status_code >= 400:
        raise ProblemError.of(response)
    if response.status_code >= 300:
        raise _not_proctor(response)


def document_of(response: httpx.Response, *needed: str) -> dict[str, Any]:
    """Read a JSON object that has the fields ``needed``.

    Raises:
        NotProctorError: If the answer is none.
    """
    try:
        document = response.json()
    except (ValueError, RecursionError) as error:
        raise _not_proctor(response) from error
    if not isinstance(document, dict) or not all(name in document for name in needed):
        raise _not_proctor(response)
    return document


def page_of(response: httpx.Response, *needed: str) -> dict[str, Any]:
    """Read a page of a list whose entries have the fields ``needed``.

    Raises:
        NotProctorError: If the answer is none.
    """
    page = document_of(response, "data")
    entries = page["data"] if isinstance(page["data"], list) else [None]
    if not all(isinstance(entry, dict) and all(name in entry for name in needed) for entry in entries):
        raise _not_proctor(response)
    if page.get("has_more") and "next_after" not in page:
        raise _not_proctor(response)
    return page


def _not_proctor(response: httpx.Response) -> NotProctorError:
    asked = response.request.url
    detail = f"{asked.copy_with(path='/', query=None)} answered, but not as a Proctor server does"
    if response.status_code < 300:
        return NotProctorError(f"{detail}.", hint="Give the server's address with --url or PROCTOR_URL.")
    target = response.headers.get("Location", "another address")
    hint = (
        "If the server is there, give that address, without /v1 and what follows, with --url or PROCTOR_URL."
    )
    return NotProctorError(f"{detail}: it sends on to {target}.", hint=hint)
