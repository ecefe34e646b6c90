from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from app.db import migrate
from app.db.base import make_engine
from app.db.tables import Artifact, Job, Metric


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
    for _ in range(3):
        migrate.downgrade(empty_database, "-1")
        assert "artifacts" in tables_of(empty_database)
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


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = make_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def add_job(url: str, job_id: str, kind: str, stage: str) -> None:
    artifact = {"name": "a", "media_type": "text/plain", "size_bytes": 1, "sha256": "0" * 64}
    with connected(url) as connection:
        connection.execute(insert(Job).values(id=job_id, tenant="t", kind=kind, stage=stage))
        connection.execute(
            insert(Metric).values(job_id=job_id, stage=stage, series="loss", step=1, value=0.5)
        )
        connection.execute(
            insert(Artifact).values(id=f"art_{job_id}", tenant="t", job_id=job_id, stage=stage, **artifact)
        )


def jobs_with_all_that_is_theirs(url: str) -> list[str]:
    joined = select(Job.id).join(Metric, Metric.job_id == Job.id).join(Artifact, Artifact.job_id == Job.id)
    with connected(url) as connection:
        return list(connection.scalars(joined.order_by(Job.id)))


def test_what_jobs_left_survives_a_change_of_their_table(empty_database: str) -> None:
    migrate.upgrade(empty_database, "0002")
    add_job(empty_database, "job_1", "clean", "distill")
    with pytest.raises(IntegrityError):
        add_job(empty_database, "job_2", "protect", "protect")
    migrate.upgrade(empty_database)
    add_job(empty_database, "job_2", "protect", "measure")
    assert jobs_with_all_that_is_theirs(empty_database) == ["job_1", "job_2"]
    migrate.downgrade(empty_database, "0002")
    assert jobs_with_all_that_is_theirs(empty_database) == ["job_1"]


def test_references_are_kept_to_after_a_change_of_their_table(empty_database: str) -> None:
    migrate.upgrade(empty_database)
    add_job(empty_database, "job_1", "protect", "measure")
    with connected(empty_database) as connection:
        connection.execute(text("DELETE FROM jobs"))
        assert connection.execute(select(Metric.step)).all() == []
