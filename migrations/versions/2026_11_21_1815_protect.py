"""Jobs of kind protect, with the stages protect and measure.

Revision: 0003
Follows: 0002

Only CHECK constraints change. SQLite cannot change those of a table that is there, so each table is made
again beside the old one, filled, and put in its place: https://sqlite.org/lang_altertable.html, section 7.
``migrations/env.py`` has switched foreign keys off for it and checks them afterwards; with them on,
dropping the old jobs would delete everything that belongs to them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KINDS = ("inspect", "audit", "distill", "clean")
STAGES = ("inspect", "probe", "distill", "verify", "report")
NEW_KINDS = (*KINDS, "protect")
NEW_STAGES = ("inspect", "probe", "distill", "verify", "protect", "measure", "report")

STAGED = ("artifacts", "jobs", "metrics", "stage_outputs")
#: Everything that belongs to a job, what refers to another of them first.
OF_JOBS = ("students", "artifacts", "attempts", "events", "metrics", "probe_results", "stage_outputs")


def upgrade() -> None:
    _replace("jobs", "jobkind", "kind", KINDS, NEW_KINDS)
    for table in STAGED:
        _replace(table, "stage", "stage", STAGES, NEW_STAGES)


def downgrade() -> None:
    """Take the constraints back, and with them the jobs that they would forbid."""
    for table in OF_JOBS:
        op.execute(f"DELETE FROM {table} WHERE job_id IN (SELECT id FROM jobs WHERE kind = 'protect')")  # noqa: S608 - no input
    op.execute("DELETE FROM jobs WHERE kind = 'protect'")
    for table in STAGED:
        _replace(table, "stage", "stage", NEW_STAGES, STAGES)
    _replace("jobs", "jobkind", "kind", NEW_KINDS, KINDS)


def _replace(table: str, name: str, column: str, old: tuple[str, ...], new: tuple[str, ...]) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild(table, _condition(column, old), _condition(column, new))
        return
    constraint = op.f(f"ck_{table}_{name}")
    op.drop_constraint(constraint, table, type_="check")
    op.create_check_constraint(constraint, table, _condition(column, new))


def _condition(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def _rebuild(table: str, old: str, new: str) -> None:
    connection = op.get_bind()

    def described(kind: str) -> list[str]:
        query = "SELECT sql FROM sqlite_master WHERE type = :kind AND tbl_name = :t AND sql IS NOT NULL"
        return list(connection.scalars(sa.text(query), {"kind": kind, "t": table}))

    (made,), indexes = described("table"), described("index")
    changed = made.replace(old, new)
    if changed == made:
        msg = f"{table} has no constraint {old!r}"
        raise RuntimeError(msg)
    head, _, body = changed.partition("(")
    temporary = f"new_{table}"
    connection.exec_driver_sql(f"{head.replace(table, temporary)}({body}")
    connection.exec_driver_sql(f"INSERT INTO {temporary} SELECT * FROM {table}")  # noqa: S608 - no input
    connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql(f"ALTER TABLE {temporary} RENAME TO {table}")
    for index in indexes:
        connection.exec_driver_sql(index)
