"""Cursor pages."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from app.schemas.base import Wire

MAX_PAGE = 100


class PageQuery(Wire):
    """Which page; any other parameter is refused."""

    after: str | None = Field(None, pattern=r"^[a-z]{2,3}_[0-9A-HJKMNP-TV-Z]{26}$")
    """``next_after`` of the page before."""
    limit: int = Field(20, ge=1, le=MAX_PAGE)
    """How many entries at most."""


def next_after(ids: Sequence[str], *, has_more: bool) -> str | None:
    """Return the cursor of the page that follows."""
    return ids[-1] if has_more and ids else None
