"""``proctor calibrate``: options become a request, and the lab's process answers it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from app.cli import run
from app.commands import lab_process


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collect requests instead of starting a process."""
    seen: list[dict[str, Any]] = []

    class Process:
        def __init__(self, command: list[str]) -> None:
            assert command[:4] == [sys.executable, "-P", "-m", "models.lab.calibration"]
            seen.append(json.loads(command[4]))

        def wait(self) -> int:
            return 3

    monkeypatch.setattr(lab_process.subprocess, "Popen", Process)
    return seen


def calibrate(folder: Path, *arguments: str, output: str = "wrn.json") -> int:
    return run(["calibrate", "--checkpoints", str(folder), "--output", output, *arguments])


def test_what_holds_for_all_checkpoints_is_handed_on(requests: list[dict[str, Any]], tmp_path: Path) -> None:
    code = calibrate(tmp_path, "--num-classes", "10", "--mean", "0.1,0.2,0.3", "--std", "1,1,1", "--json")
    assert code == 3
    assert requests[0]["declared"] == {"num_classes": 10, "mean": [0.1, 0.2, 0.3], "std": [1.0, 1.0, 1.0]}
    assert (requests[0]["budget"], requests[0]["images"], requests[0]["json"]) == ("standard", None, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--mean", "0.1"],
        ["--mean", "0.1,0.2,0.3"],
        ["--budget", "endless"],
        ["--images", "no.zip"],
        ["--num-classes", "-5"],
        ["--input-size", "4"],
        ["--data", "digits"],
        ["--learning-rate", "0.1"],
    ],
)
def test_wrong_usage_starts_nothing(
    requests: list[dict[str, Any]], tmp_path: Path, arguments: list[str]
) -> None:
    assert calibrate(tmp_path, *arguments) == 4
    assert requests == []


def test_the_files_name_must_be_one_that_a_set_may_have(
    requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert calibrate(tmp_path, output="My set.json") == 4
    assert requests == []


def test_references_can_be_made_first(requests: list[dict[str, Any]], tmp_path: Path) -> None:
    made = ["--make", "19", "--data", "digits", "--patch-style", "strokes"]
    made += ["--epochs", "2", "--learning-rate", "0.02"]
    assert calibrate(tmp_path / "none yet", "--architecture", "wrn-10-1", *made) == 3
    assert requests[0]["make"] == {
        "count": 19,
        "data": "digits",
        "first_seed": 0,
        "plain": {"epochs": 2, "learning_rate": 0.02},
    }
    assert (requests[0]["patch_style"], requests[0]["surrogates"]) == ("strokes", "patches")


def test_a_set_can_be_for_audits_that_invert_images(requests: list[dict[str, Any]], tmp_path: Path) -> None:
    calibrate(tmp_path, "--surrogates", "inverted")
    assert requests[0]["surrogates"] == "inverted"


def test_without_data_or_folder_nothing_starts(requests: list[dict[str, Any]], tmp_path: Path) -> None:
    assert calibrate(tmp_path, "--make", "19") == 4
    assert calibrate(tmp_path / "missing") == 4
    assert requests == []


def test_a_set_that_cannot_be_written_is_known_before_the_scoring(
    requests: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert calibrate(tmp_path, output=str(tmp_path / "file" / "set.json")) == 2
    assert f"No file can be written to {tmp_path}/file" in capsys.readouterr().err
    assert requests == []
