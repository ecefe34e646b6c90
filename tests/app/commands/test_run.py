import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.cli import run as proctor
from app.commands import run
from app.commands.journey import UnsavedError
from app.commands.outcome import Output
from app.commands.run import local_service, settings_in
from app.core.settings import Settings
from app.embedded import child_environment, make_child
from app.processes import ChildSpec, Supervisor
from tests.app.commands.test_journey import SUCCEEDED, FakeService


def test_it_uses_no_server_that_the_shell_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in ("", "PROCTOR_"):
        monkeypatch.setenv(f"{prefix}DATABASE_URL", "postgresql://user:secret@host/production")
        monkeypatch.setenv(f"{prefix}BROKER_URL", "redis://host:6379/0")
        monkeypatch.setenv(f"{prefix}BLOB_URL", "file:///production/blobs")
    settings = settings_in(tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/proctor.db"
    assert settings.broker_url == "filesystem://localhost"
    assert settings.blob_url == f"file://{tmp_path}/blobs"
    given = child_environment(settings)
    assert given["PROCTOR_DATABASE_URL"] == settings.database_url
    assert given["PROCTOR_BROKER_URL"] == settings.broker_url
    assert given["PROCTOR_BLOB_URL"] == settings.blob_url


def test_an_output_folder_that_cannot_be_is_told_before_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(*given: Any) -> None:
        raise AssertionError("the job was started")

    monkeypatch.setattr(run, "local_service", start)
    (tmp_path / "teacher.pt").write_bytes(b"weights")
    assert (
        proctor(["run", str(tmp_path / "teacher.pt"), "--output", str(tmp_path / "teacher.pt" / "out")]) == 2
    )
    assert "Name another folder with --output" in capsys.readouterr().err


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "background_children", lambda settings: [])


def homes(folder: Path) -> list[Path]:
    return list(folder.glob("proctor-run-*"))


def test_a_home_of_its_own_is_removed_at_the_end(
    no_workers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with local_service(Output(True), None, threading.Event()) as service:
        assert homes(tmp_path) == [service.home]
    assert homes(tmp_path) == []


def test_a_home_that_alone_has_the_files_is_kept(
    no_workers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    unsaved = UnsavedError("job_1", "No space left on device.")
    with pytest.raises(UnsavedError), local_service(Output(True), None, threading.Event()) as service:
        raise unsaved
    assert homes(tmp_path) == [service.home]


def test_files_that_could_not_be_saved_are_said_to_be_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(FakeService):
        home = tmp_path / "a home"

        def download(self, *given: Any) -> Path:
            raise OSError(28, "No space left on device")

    @contextmanager
    def service(*given: Any) -> Iterator[Full]:
        yield Full({**SUCCEEDED, "error": None})

    monkeypatch.setattr(run, "local_service", service)
    (tmp_path / "teacher.pt").write_bytes(b"weights")
    assert proctor(["run", str(tmp_path / "teacher.pt"), "--output", str(tmp_path / "out"), "--json"]) == 2
    captured = capsys.readouterr()
    assert '"status": "succeeded"' in captured.out
    assert "No space left on device" in captured.err
    assert f"proctor fetch job_1 --home '{tmp_path}/a home' --output FOLDER" in captured.err


def test_workers_that_are_slow_to_end_are_no_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a loaded machine they often are; it stood before the one sentence that the user needed."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"

    def children(settings: Settings) -> list[ChildSpec]:
        return [make_child(settings, "slow", [sys.executable, "-c", code])]

    def stop(supervisor: Supervisor, *, quietly: bool) -> None:
        Supervisor.stop(supervisor, timeout_s=0.1, quietly=quietly)

    monkeypatch.setattr(run, "background_children", children)
    monkeypatch.setattr(run, "Supervisor", type("Impatient", (Supervisor,), {"stop": stop}))
    log = tmp_path / "logs" / "slow.log"
    with local_service(Output(False), tmp_path, threading.Event()):
        while "up" not in log.read_text():
            time.sleep(0.05)
    assert "did not end by itself" not in capsys.readouterr().err
    assert "did not end by itself" in log.read_text()


@pytest.mark.parametrize("over", [True, False])
def test_ctrl_c_ends_the_command_though_the_worker_does_not_answer(
    over: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It waited for the job's next event, and a worker that stands still sends none."""

    class Interrupted(FakeService):
        def events(self, job_id: str) -> Iterator[Any]:
            raise KeyboardInterrupt

        def cancel(self, job_id: str) -> None:
            asked.append(job_id)

        def ended_within(self, job_id: str, seconds: float) -> bool:
            asked.append(seconds)
            return over

    @contextmanager
    def service(*given: Any) -> Iterator[Interrupted]:
        yield Interrupted({**SUCCEEDED, "error": None})

    asked: list[Any] = []
    monkeypatch.setattr(run, "local_service", service)
    (tmp_path / "teacher.pt").write_bytes(b"weights")
    assert proctor(["run", str(tmp_path / "teacher.pt"), "--output", str(tmp_path / "out")]) == 130
    assert asked == ["job_1", run.CANCEL_S]
    assert ("did not stop in time" in capsys.readouterr().err) is not over
