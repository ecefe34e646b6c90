from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from app.db import migrate
from app.db.base import make_engine
from app.db.tables import Job


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path}/proctor.db"


def tables_of(url: str) -> set[str]:
    engine = make_engine(url)
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


def test_an_upgraded_database_has_the_tables_of_the_code(empty_database: str) -> None:
    migrate.upgrade(empty_database)
    engine = make_engine(empty_database)
    with engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), Job.metadata)
    engine.dispose()
    assert difference == []
    assert tables_of(empty_database) == set(Job.metadata.tables)


def test_migrations_can_be_taken_back_one_by_one(empty_database: str) -> None:
    migrate.upgrade(empty_database)
    migrate.downgrade(empty_database, "-1")
    assert "artifacts" not in tables_of(empty_database)
    migrate.downgrade(empty_database)
    assert tables_of(empty_database) == set()


def test_upgrading_twice_changes_nothing(empty_database: str) -> None:
    migrate.upgrade(empty_database)
    migrate.upgrade(empty_database)
    assert tables_of(empty_database) == set(Job.metadata.tables)


def test_checks_are_made_by_the_database_too(empty_database: str) -> None:
    migrate.upgrade(empty_database)
    engine = make_engine(empty_database)
    constraints = {check["name"] for check in inspect(engine).get_check_constraints("jobs")}
    engine.dispose()
    assert {"ck_jobs_jobkind", "ck_jobs_jobstatus", "ck_jobs_stage", "ck_jobs_device"} <= constraints
