"""Column types and SQL that behave alike on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Enum
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC: ``timestamptz`` on PostgreSQL, text of fixed width (so it sorts) on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse moments without a zone, write the others in UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a moment without a time zone"
            raise ValueError(msg)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read every moment with its zone, which SQLite does not keep."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def closed_set(values: type[StrEnum]) -> Enum:
    """Store an enumeration by its values, with a CHECK constraint, readable in plain SQL."""
    return Enum(
        values,
        native_enum=False,
        length=24,
        create_constraint=True,
        name=values.__name__.lower(),
        values_callable=lambda members: [member.value for member in members],
    )


class db_now(ColumnElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The database's own clock, now or ``offset_s`` seconds away.

    Leases are compared on this clock only, so workers' clocks may be wrong. On PostgreSQL it is the
    moment of the call, not of the transaction's start (``now()``), which may lie a lock wait earlier.
    """

    inherit_cache = False
    type = UtcDateTime()

    def __init__(self, offset_s: float = 0.0) -> None:
        """Take how many seconds after (or, negative, before) the present is meant."""
        self.offset_s = float(offset_s)


@compiles(db_now, "sqlite")
def _sqlite_now(element: db_now, compiler: SQLCompiler, **kw: Any) -> str:
    """Write milliseconds as the six digits that SQLAlchemy's own values have, so that text compares."""
    del compiler, kw
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', '{element.offset_s:+.3f} seconds') || '000')"


@compiles(db_now, "postgresql")
def _postgresql_now(element: db_now, compiler: SQLCompiler, **kw: Any) -> str:
    """Use the clock, not the transaction's timestamp."""
    del compiler, kw
    return f"(clock_timestamp() + interval '{element.offset_s:.3f} seconds')"


class without_member(ColumnElement[Any]):  # noqa: N801 - reads as a SQL function
    """A JSON array of objects, in its order, each without one of its members, which is large."""

    inherit_cache = False

    def __init__(self, array: ColumnElement[Any], member: str) -> None:
        """Take the column and the member's name, which is no user's text."""
        self.array = array
        self.member = member
        self.type = FreeForm


@compiles(without_member, "sqlite")
def _sqlite_without(element: without_member, compiler: SQLCompiler, **kw: Any) -> str:
    """Mark each object as JSON again, or they would be strings."""
    array = compiler.process(element.array, **kw)
    kept = f"json_group_array(json(json_remove(value, '$.{element.member}')))"
    return f"(SELECT {kept} FROM json_each({array}))"  # noqa: S608  our own names


@compiles(without_member, "postgresql")
def _postgresql_without(element: without_member, compiler: SQLCompiler, **kw: Any) -> str:
    """Put the objects into their order, which an aggregate does not promise to keep."""
    array = compiler.process(element.array, **kw)
    objects = f"jsonb_array_elements({array}) WITH ORDINALITY AS each_object(value, place)"
    kept = f"jsonb_agg(value - '{element.member}' ORDER BY place)"
    return f"(SELECT coalesce({kept}, '[]'::jsonb) FROM {objects})"  # noqa: S608  likewise


#: Free-form data: JSON text on SQLite, JSONB on PostgreSQL.
FreeForm = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
