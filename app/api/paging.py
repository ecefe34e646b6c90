"""Cursor pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from app.core.errors import FieldError, Invalid
from app.schemas.base import Wire

MAX_PAGE = 100
_CURSOR = "[0-9A-HJKMNP-TV-Z]{26}"


class PageQuery(Wire):
    """Which page; any other parameter is refused."""

    after: str | None = Field(None, json_schema_extra={"pattern": f"^[a-z]{{2,3}}_{_CURSOR}$"})
    """``next_after`` of the page before."""
    limit: int = Field(20, ge=1, le=MAX_PAGE)
    """How many entries at most."""

    def after_one_of(self, prefix: Literal["tch", "ds", "job"]) -> str | None:
        """Return the cursor, None for the first page.

        Raises:
            Invalid: ``cursor_invalid``: it is no id of the kind that is listed. Ids sort by their kind first,
                so another kind's would silently be the first page again, or an empty one.
        """
        if self.after is None or re.fullmatch(f"{prefix}_{_CURSOR}", self.after):
            return self.after
        errors = [FieldError("query/after", f"a cursor of this list begins with {prefix}_")]
        raise Invalid("cursor_invalid", "The cursor is not one of this list.", errors=errors)


def next_after(ids: Sequence[str], *, has_more: bool) -> str | None:
    """Return the cursor of the page that follows."""
    return ids[-1] if has_more and ids else None
