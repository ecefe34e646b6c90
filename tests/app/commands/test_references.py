from pathlib import Path

import pytest

from app.cli import run
from app.commands import worker

TEACHER = Path(__file__)  # never read: the start is refused before


@pytest.mark.parametrize("command", [["serve", "--port=0"], ["worker"], ["run", str(TEACHER)]])
def test_a_missing_folder_of_references_stops_the_start(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROCTOR_CALIBRATION_DIR", str(tmp_path / "misspelt"))
    monkeypatch.setenv("PROCTOR_SANDBOX", "degraded")
    monkeypatch.setattr(worker, "become", lambda arguments, environment: 0)
    monkeypatch.setattr("app.launcher.serve", lambda settings, **given: None)
    monkeypatch.setattr("app.commands.run.background_children", lambda settings: pytest.fail("started"))
    monkeypatch.chdir(tmp_path)
    assert run([*command, f"--home={tmp_path / 'home'}"]) == 2
    told = capsys.readouterr().err
    assert "misspelt" in told
    assert "PROCTOR_CALIBRATION_DIR" in told
    assert not (tmp_path / "home").exists()


def test_a_worker_that_audits_nothing_needs_no_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCTOR_CALIBRATION_DIR", str(tmp_path / "misspelt"))
    monkeypatch.setenv("PROCTOR_SANDBOX", "degraded")
    monkeypatch.setattr(worker, "enter_home", lambda settings: settings.home)
    monkeypatch.setattr(worker, "become", lambda arguments, environment: 0)
    assert run(["worker", "--queues=inspect,upkeep", f"--home={tmp_path}"]) == 0
