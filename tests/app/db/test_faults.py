"""A home of another version, or a broken one: the file is named, and what is said to do can help."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError, OperationalError

from app.cli import run
from app.core.errors import Unavailable
from app.core.settings import Settings
from app.db.faults import explain_database, explain_newer, hint_without_settings
from app.diagnosis import check_database
from app.preparation import prepare_database


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def refused(settings: Settings) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        prepare_database(settings)
    return caught.value


def test_a_home_of_a_newer_version_is_called_one(settings: Settings) -> None:
    """It said 'Can't locate revision' and to see that the server is up."""
    prepare_database(settings)
    with sqlite3.connect(settings.home / "proctor.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    connection.close()
    error = refused(settings)
    assert error.detail.startswith(f"The database {settings.home}/proctor.db was written by a newer Proctor")
    assert error.hint == "Upgrade Proctor, or take another home with --home."
    assert check_database(settings) == ("failed", error.detail, error.hint)


def test_a_file_that_is_no_database_is_named(settings: Settings) -> None:
    (settings.make_home() / "proctor.db").write_bytes(b"junk" * 2_000)
    error = refused(settings)
    assert error.detail == f"The database {settings.home}/proctor.db cannot be used: file is not a database."
    assert error.hint.startswith("Put a good copy of that file in its place")
    assert error.hint.endswith("or take another home with --home.")


def test_a_database_that_cannot_be_opened_is_named(settings: Settings) -> None:
    (settings.make_home() / "proctor.db").mkdir()
    error = refused(settings)
    assert error.detail == f"The database {settings.home}/proctor.db cannot be used: Is a directory."
    assert "may read and write that file" in error.hint


def test_a_file_that_a_url_names_is_no_matter_of_the_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url=f"sqlite:///{tmp_path}/other.db")
    locked = OperationalError("BEGIN", {}, sqlite3.OperationalError("database is locked"))
    detail, hint = explain_database(settings, locked)
    assert "other.db cannot be used: database is locked." in detail
    assert hint.endswith("or name another database with PROCTOR_DATABASE_URL.")


def test_of_a_server_the_url_is_to_be_checked_and_its_password_is_kept(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url="postgresql://proctor:secret@db/proctor")
    error = OperationalError("SELECT 1", {}, Exception("connection refused\nmore"))
    detail, hint = explain_database(settings, error)
    assert detail == "The database cannot be used: connection refused"
    assert "the server is up" in hint
    assert "secret" not in "".join(explain_newer(settings, "9999"))


def test_the_embedded_database_is_no_server() -> None:
    embedded = DatabaseError("SELECT 1", {}, sqlite3.DatabaseError("malformed"))
    assert "proctor.db is whole" in hint_without_settings(embedded)
    assert "server" in hint_without_settings(OperationalError("SELECT 1", {}, Exception("refused")))


def test_a_home_that_cannot_be_made_is_told_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run(["migrate", "--home", str(tmp_path / "file" / "home")]) == 2
    told = capsys.readouterr().err
    assert f"The home {tmp_path}/file/home cannot be made: Not a directory." in told
    assert "Name another folder with --home" in told
