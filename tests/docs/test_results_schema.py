"""Every query and every table name of docs/results-schema.md, against a real database."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from app.db import migrate
from app.db.base import make_engine
from app.db.tables import Job

DOCUMENT = (Path(__file__).parents[2] / "docs" / "results-schema.md").read_text("utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", DOCUMENT, flags=re.DOTALL)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/proctor.db"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgresql_url"))
    migrate.upgrade(url)
    return url


def test_the_queries_run(database: str) -> None:
    engine = make_engine(database)
    with engine.connect() as connection:
        columns = [tuple(connection.execute(text(query)).keys()) for query in QUERIES]
    engine.dispose()
    assert len(columns) == 5
    assert columns[0] == ("filename", "verdict", "target_label", "finished_at")


def test_every_table_is_described() -> None:
    described = set(re.findall(r"`([a-z_]+)`", DOCUMENT.split("## Five")[0]))
    assert set(Job.metadata.tables) <= described
