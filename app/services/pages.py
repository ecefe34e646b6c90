"""Pages of rows, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, and whether older ones follow."""

    rows: list[T]
    has_more: bool


def newest_first(
    session: Session,
    query: Select[T],
    identifier: InstrumentedAttribute[str],
    after: str | None,
    limit: int,
) -> Page[T]:
    """Fetch the page of at most ``limit`` rows after the row ``after``; identifiers sort by age."""
    if after is not None:
        query = query.where(identifier < after)
    rows = list(session.scalars(query.order_by(identifier.desc()).limit(limit + 1)))
    return Page(rows[:limit], len(rows) > limit)
