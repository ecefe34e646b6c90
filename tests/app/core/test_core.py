from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.core.artifact_names import student_file
from app.core.ids import PATTERN, new_id
from app.core.settings import Settings
from app.core.states import LEGAL_TRANSITIONS, STAGES, JobKind, JobStatus, Stage


def test_identifiers_match_their_pattern_and_differ() -> None:
    made = {new_id("job") for _ in range(1000)}
    assert len(made) == 1000
    assert all(PATTERN.fullmatch(each) for each in made)


def test_identifiers_sort_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [1, 1_000_000_000_000, 1_800_000_000_000, 2**48 - 1]
    made = []
    for moment in moments:
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment * 1_000_000)
        made.append(new_id("tch"))
    assert made == sorted(made)


def test_nothing_follows_a_terminal_state() -> None:
    terminal = {status for status in JobStatus if status.terminal}
    assert terminal == {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED}
    assert set(LEGAL_TRANSITIONS) == set(JobStatus)


def test_every_kind_of_job_has_stages_in_order() -> None:
    order = list(Stage)
    for kind in JobKind:
        places = [order.index(stage) for stage in STAGES[kind]]
        assert places and places == sorted(places)


def test_all_state_lies_in_one_folder_by_default(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/proctor.db"
    assert settings.blob_url == f"file://{tmp_path}/blobs"
    assert settings.broker_folder.parent == settings.scratch_folder.parent == tmp_path


def test_three_urls_make_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/proctor")
    monkeypatch.setenv("BROKER_URL", "redis://queue/0")
    monkeypatch.setenv("PROCTOR_BLOB_URL", "file:///blobs")
    settings = Settings()
    assert settings.database_url == "postgresql://db/proctor"
    assert settings.broker_url == "redis://queue/0"
    assert settings.blob_url == "file:///blobs"


def test_our_own_name_goes_before_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://platform/x")
    monkeypatch.setenv("PROCTOR_DATABASE_URL", "postgresql://ours/x")
    assert Settings().database_url == "postgresql://ours/x"


def test_a_relative_home_does_not_depend_on_where_one_is_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=Path("here"))
    assert settings.database_url == f"sqlite:///{tmp_path}/here/proctor.db"
    settings.make_home()
    monkeypatch.chdir(settings.home)
    assert settings.key_file == tmp_path / "here" / "api_key"


@pytest.mark.parametrize("name", ["team#1", "what?", "a%20b"])
def test_a_home_that_urls_would_lead_away_from_is_refused(name: str, tmp_path: Path) -> None:
    """Two homes, team#1 and team#2, kept their blobs in one folder, and the one's sweep took the other's."""
    with pytest.raises(ValidationError, match=r"must have no \?, # or % in its path"):
        Settings(home=tmp_path / name)
    assert Settings(home=tmp_path, calibration_dir=tmp_path / name).calibration_dir == tmp_path / name


def test_home_is_private(tmp_path: Path) -> None:
    home = Settings(home=tmp_path / "new" / "home").make_home()
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("role", "roles", "name"),
    [
        ("defended", ["undefended", "defended"], "student.safetensors"),
        ("undefended", ["undefended", "defended"], "student-undefended.safetensors"),
        ("undefended", ["undefended"], "student.safetensors"),
    ],
)
def test_the_student_to_take_has_the_plain_name(role: str, roles: list[str], name: str) -> None:
    assert student_file(role, roles) == name


@pytest.mark.parametrize(
    ("host", "mode"),
    [
        ("127.0.0.1", "degraded"),
        ("localhost", "degraded"),
        ("::1", "degraded"),
        ("0.0.0.0", "required"),
        ("::", "required"),
        ("proctor.example", "required"),
    ],
)
def test_a_service_that_others_can_reach_requires_the_whole_sandbox(host: str, mode: str) -> None:
    assert Settings(host=host).sandbox == mode
    assert Settings(host=host, sandbox="degraded").sandbox == "degraded"
