from pathlib import Path

import pytest

from app.cli import main
from app.commands import sandbox, worker
from app.commands.outcome import CommandError
from app.core.settings import Settings
from app.embedded import background_children
from models.sandbox.level import level_of


@pytest.fixture
def without_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "sandbox_level", lambda: level_of(("landlock",)))


def test_what_is_required_and_missing_stops_the_start(without_landlock: None) -> None:
    with pytest.raises(CommandError, match="no landlock") as caught:
        sandbox.require_sandbox(Settings(sandbox="required"))
    assert caught.value.code == "sandbox_unavailable"


def test_what_is_not_required_may_be_missing(without_landlock: None) -> None:
    sandbox.require_sandbox(Settings(sandbox="degraded"))


def test_what_is_there_may_be_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "sandbox_level", lambda: level_of(()))
    sandbox.require_sandbox(Settings(sandbox="required"))


@pytest.mark.parametrize("said", [None, "degraded", "required"])
def test_a_worker_of_its_own_requires_what_nobody_said(
    said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not know that its API listens beyond this machine."""
    if said is not None:
        monkeypatch.setenv("PROCTOR_SANDBOX", said)
    started: list[dict[str, str]] = []
    monkeypatch.setattr(sandbox, "sandbox_level", lambda: level_of(()))
    monkeypatch.setattr(worker, "enter_home", lambda settings: settings.home)
    monkeypatch.setattr(worker, "become", lambda arguments, environment: started.append(environment) or 0)
    monkeypatch.setattr("sys.argv", ["proctor", "worker", f"--home={tmp_path}"])
    with pytest.raises(SystemExit):
        main()
    assert [environment["PROCTOR_SANDBOX"] for environment in started] == [said or "required"]


def test_the_embedded_workers_are_told(tmp_path: Path) -> None:
    for host, mode in (("127.0.0.1", "degraded"), ("0.0.0.0", "required")):
        children = background_children(Settings(home=tmp_path, host=host))
        assert {child.environment["PROCTOR_SANDBOX"] for child in children} == {mode}


@pytest.mark.parametrize("command", [["serve", "--host", "0.0.0.0"], ["worker"]])
def test_commands_refuse_and_name_the_setting(
    command: list[str],
    without_landlock: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [*command, f"--home={tmp_path / 'home'}"]
    monkeypatch.setattr("sys.argv", ["proctor", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "PROCTOR_SANDBOX=degraded" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()
