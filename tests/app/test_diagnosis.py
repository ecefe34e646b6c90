import io
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console
from sqlalchemy import update

from app.commands.doctor import _table
from app.core.reference_folder import MAX_FILES
from app.core.settings import Settings
from app.db.base import make_engine, make_session_factory
from app.db.tables import UpkeepPass
from app.db.types import db_now
from app.diagnosis import (
    CHECKS,
    Finding,
    check_blobs,
    check_broker,
    check_database,
    check_key,
    check_references,
    check_sandbox,
    check_settings,
    check_upkeep,
    examine,
)
from app.home import write_private
from app.preparation import ensure_key, prepare_database
from app.services import upkeep_passes
from models.sandbox.level import level_of

SHIPPED = Path(__file__).parents[2] / "models/probes/calibration/sets/digits-wrn-10-2-quick-patches.json"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def test_a_fresh_home_has_no_tables_and_no_key(settings: Settings) -> None:
    assert check_database(settings)[0] == "warning"
    assert check_key(settings)[0] == "warning"


def test_a_prepared_home_is_in_order(settings: Settings) -> None:
    prepare_database(settings)
    ensure_key(settings)
    assert [check(settings)[0] for check in (check_database, check_key, check_blobs, check_broker)] == [
        "ok"
    ] * 4


def test_a_key_of_another_database_is_noticed(settings: Settings) -> None:
    prepare_database(settings)
    write_private(settings.key_file, "prk_other\n")
    assert "not valid" in check_key(settings)[1]


def test_a_check_leaves_no_blob_behind(settings: Settings) -> None:
    check_blobs(settings)
    assert [path.name for path in (settings.home / "blobs").rglob("*") if path.is_file()] == ["lock"]


def test_a_disk_of_blobs_that_is_nearly_full_is_a_fault(settings: Settings) -> None:
    full = settings.model_copy(update={"min_free_bytes": 1 << 62})
    state, detail, hint = check_blobs(full)
    assert (state, f"less than {1 << 62:,}" in detail) == ("failed", True)
    assert "PROCTOR_MIN_FREE_BYTES" in hint


def test_a_database_that_is_away_is_a_finding_without_its_password(tmp_path: Path, free_port: int) -> None:
    url = f"postgresql://proctor:secret@127.0.0.1:{free_port}/proctor"
    finding = examine(("database", check_database), Settings(home=tmp_path, database_url=url))
    assert finding.state == "failed"
    assert "secret" not in finding.detail


def test_a_broker_that_is_away_is_a_finding(tmp_path: Path, free_port: int) -> None:
    settings = Settings(home=tmp_path, broker_url=f"redis://127.0.0.1:{free_port}/0")
    assert examine(("queue", check_broker), settings).state == "failed"


@pytest.mark.parametrize(
    ("missing", "mode", "expected"),
    [
        ((), "required", "ok"),
        (("landlock",), "degraded", "warning"),
        (("landlock", "seccomp"), "required", "failed"),
    ],
)
def test_the_sandbox_is_judged_by_what_is_required(
    missing, mode, expected, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.diagnosis.sandbox_level", lambda: level_of(missing))
    state, detail, hint = check_sandbox(settings.model_copy(update={"sandbox": mode}))
    assert (state, all(name in detail for name in missing)) == (expected, True)
    assert bool(hint) == bool(missing)


def test_every_failure_has_a_hint_of_its_own(tmp_path: Path, free_port: int) -> None:
    url = f"postgresql://proctor:secret@127.0.0.1:{free_port}/proctor"
    settings = Settings(home=tmp_path, database_url=url, broker_url=f"redis://127.0.0.1:{free_port}/0")
    assert "DATABASE_URL" in examine(("database", check_database), settings).hint
    assert "BROKER_URL" in examine(("queue", check_broker), settings).hint


def test_a_failure_that_no_check_foresees_is_to_be_reported(settings: Settings) -> None:
    def fail(settings: Settings) -> NoReturn:
        raise OSError("surprise")

    finding = examine(("threads", fail), settings)
    assert (finding.state, "report" in finding.hint.lower()) == ("failed", True)


def test_the_references_are_counted(settings: Settings, tmp_path: Path) -> None:
    assert check_references(settings)[0] == "ok"
    folder = tmp_path / "sets"
    settings = settings.model_copy(update={"calibration_dir": folder})
    found = examine(("references", check_references), settings)
    assert (found.state, str(folder) in found.detail) == ("failed", True)
    folder.mkdir()
    assert check_references(settings)[:2] == (
        "warning",
        f"0 sets in {folder}, beside those that come with Proctor",
    )
    shutil.copy(SHIPPED, folder)
    assert check_references(settings)[:2] == (
        "ok",
        f"1 sets in {folder}, beside those that come with Proctor",
    )
    (folder / "other.json").write_text("{}")
    state, detail, _ = check_references(settings)
    assert (state, "1 files are no sets" in detail) == ("warning", True)


def test_files_that_cannot_be_sets_are_neither_read_whole_nor_waited_for(
    settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "sets"
    folder.mkdir()
    (folder / "folder.json").mkdir()
    (folder / "gone.json").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.json")
    with (folder / "large.json").open("wb") as file:
        file.truncate(1 << 40)
    settings = settings.model_copy(update={"calibration_dir": folder})
    state, detail, _ = check_references(settings)
    assert (state, "0 sets" in detail, "4 files are no sets" in detail) == ("warning", True, True)


def test_sets_that_no_audit_reads_are_named(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "sets"
    folder.mkdir()
    for number in range(MAX_FILES + 2):
        (folder / f"{number:03}.json").symlink_to(SHIPPED)
    settings = settings.model_copy(update={"calibration_dir": folder})
    state, detail, _ = check_references(settings)
    assert (state, "2 more than 64 files" in detail) == ("warning", True)


def test_a_misspelt_setting_is_noticed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_PORT", "9000")
    monkeypatch.setenv("PROCTOR_URL", "http://proctor")
    assert check_settings(settings)[0] == "ok"
    monkeypatch.setenv("PROCTOR_SANDBOX_MODE", "required")
    assert check_settings(settings)[:2] == ("warning", "not a setting: PROCTOR_SANDBOX_MODE")


def test_a_key_is_kept_as_long_as_it_is_valid(settings: Settings) -> None:
    prepare_database(settings)
    assert ensure_key(settings) == ensure_key(settings)
    write_private(settings.key_file, "prk_other\n")
    assert ensure_key(settings) != "prk_other"


def test_findings_are_plain_documents() -> None:
    assert Finding("python", "ok", "3.11").document() == {
        "name": "python",
        "state": "ok",
        "detail": "3.11",
        "hint": "",
    }


def test_upkeep_that_is_not_done_any_more_is_a_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_upkeep(settings)[0] == "ok", "nothing runs that could do it"
    monkeypatch.setattr("app.diagnosis.read_server", lambda home: home)
    assert check_upkeep(settings)[:2] == ("warning", "no tables yet")
    prepare_database(settings)
    assert check_upkeep(settings)[:2] == ("warning", "it was never done")
    engine = make_engine(settings.database_url)
    states = []
    for ago_s in (850, 870):
        with make_session_factory(engine).begin() as session:
            upkeep_passes.note(session)
            session.execute(update(UpkeepPass).values(done_at=db_now(-ago_s)))
        states.append(check_upkeep(settings)[0])
    engine.dispose()
    assert states == ["ok", "failed"]
    assert "scheduler" in check_upkeep(settings)[2]


def test_every_check_has_a_name_of_its_own() -> None:
    assert len({name for name, _ in CHECKS}) == len(CHECKS)


def test_a_home_whose_name_looks_like_markup_is_shown_as_it_is() -> None:
    told = io.StringIO()
    Console(file=told, width=200).print(_table([Finding("home", "ok", "/home/a[/b]", "See /home/a[/b].")]))
    assert told.getvalue().count("/home/a[/b]") == 2
