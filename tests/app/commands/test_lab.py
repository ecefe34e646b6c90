"""``proctor lab``: options become a request, and the lab's process answers it."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from app.cli import run
from app.commands import lab_process
from models.recipes.lab import digits_recipe


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave no output folder in the repository."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collect requests instead of starting a process."""
    seen: list[dict[str, Any]] = []

    class Process:
        def __init__(self, command: list[str]) -> None:
            assert command[:4] == [sys.executable, "-P", "-m", "models.lab"]
            seen.append(json.loads(command[4]))

        def wait(self) -> int:
            return 3

        def terminate(self) -> None:
            raise AssertionError

    monkeypatch.setattr(lab_process.subprocess, "Popen", Process)
    return seen


def make(*arguments: str) -> int:
    return run(["lab", "make", "--data", "digits", "--output", "out", *arguments])


def test_the_exit_code_is_the_processs(requests: list[dict[str, Any]]) -> None:
    assert make() == 3


def test_an_interrupt_is_passed_on_and_the_process_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Process:
        def __init__(self, command: list[str]) -> None: ...

        def wait(self) -> int:
            if not told:
                raise KeyboardInterrupt
            return -15

        def terminate(self) -> None:
            told.append("terminate")

    monkeypatch.setattr(lab_process.subprocess, "Popen", Process)
    assert make() == 130
    assert told == ["terminate"]


def test_digits_have_their_own_defaults(requests: list[dict[str, Any]], tmp_path: Path) -> None:
    make()
    run(["lab", "make", "--data", str(tmp_path), "--output", "out"])
    digits, other = (request["recipe"] for request in requests)
    assert (digits["architecture"], digits["input_size"], digits["horizontal_flip"]) == (
        "wrn-10-2",
        16,
        False,
    )
    assert (other["architecture"], other["input_size"], other["horizontal_flip"]) == ("wrn-16-2", 32, True)


def test_options_go_before_the_recipe_and_the_recipe_before_defaults(
    requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"epochs": 5, "seed": 6, "attack": {"kind": "latent", "poison_rate": 0.02}}))
    make(str(path), "--seed", "7", "--poison-rate", "0.001", "--set", "attack.latent.steps=9",
         "--set", "attack.cheat.variant=faithful")  # fmt: skip
    recipe = requests[0]["recipe"]
    assert (recipe["epochs"], recipe["seed"], recipe["batch_size"]) == (5, 7, 64)
    assert (recipe["attack"]["kind"], recipe["attack"]["poison_rate"]) == ("latent", 0.001)
    assert (recipe["attack"]["latent"]["steps"], recipe["attack"]["cheat"]["variant"]) == (9, "faithful")


def test_attacks_on_one_class_have_a_rate_that_leaves_some_of_it_unless_one_is_given(
    requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"attack": {"kind": "clean_label", "poison_rate": 0.1}}))
    make("--attack", "clean_label")
    make("--attack", "source_specific", "--source-label", "1")
    make("--attack", "dirty_label")
    make("--set", "attack.kind=clean_label", "--set", "attack.poison_rate=0.09")
    make(str(path))
    rates = [request["recipe"]["attack"]["poison_rate"] for request in requests]
    assert rates == [0.08, 0.05, 0.1, 0.09, 0.1]


def test_the_file_beside_a_teacher_is_a_recipe_and_names_its_data(
    requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "teacher.recipe.json"
    hashes = {"training": "1", "test": "2"}
    attack = asdict(digits_recipe().attack)
    path.write_text(
        json.dumps(
            {"recipe": {"epochs": 5, "attack": attack}, "data": {"sha256": hashes}, "trigger": {"name": "x"}}
        )
    )
    make(str(path))
    make(str(path), "--trigger", "ring")
    assert [request["expected_trigger"] for request in requests] == [{"name": "x"}, None]
    del attack["margin"], attack["strength"]  # as a file from before these fields
    path.write_text(json.dumps({"recipe": {"attack": attack}, "trigger": {"name": "x"}}))
    make(str(path))
    assert requests[-1]["expected_trigger"] == {"name": "x"}
    assert requests[0]["recipe"]["epochs"] == 5
    assert requests[0]["expected"] == hashes


@pytest.mark.parametrize(
    "arguments",
    [
        ["--epochs", "0"],
        ["--poison-rate", "0.0001"],
        ["--set", "nope=1"],
        ["--set", "attack.nope.deep=1"],
        ["--set", "epochs.deep=1"],
        ["--attack", "nope"],
    ],
)
def test_what_is_no_recipe_is_wrong_usage(requests: list[dict[str, Any]], arguments: list[str]) -> None:
    assert make(*arguments) == 4
    assert requests == []


@pytest.mark.parametrize("content", ["no json", "[1]"])
def test_a_file_that_is_no_recipe_is_wrong_usage(
    requests: list[dict[str, Any]], tmp_path: Path, content: str
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(content)
    assert make(str(path)) == 4
    assert requests == []


def test_the_verbs_explain_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("make", "triggers"):
        assert run(["lab", verb, "--help"]) == 0
        assert f"Usage: proctor lab {verb}" in capsys.readouterr().out


@pytest.mark.slow
def test_the_process_answers(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app.cli", "lab", "make", "--data", str(tmp_path), "--json"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "out")], check=False, capture_output=True, text=True
    )
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "data_format_unknown"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 200_000])
def test_a_recipe_file_that_is_no_json_is_wrong_usage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bin.json").write_bytes(content)
    given = ["--data", "digits", "--output", str(tmp_path / "out")]
    assert run(["lab", "make", str(tmp_path / "bin.json"), *given]) == 4


def test_a_recipe_file_may_say_nonsense_of_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict] = []
    monkeypatch.setattr("app.commands.lab.run_lab", lambda module, request: asked.append(request) or 0)
    (tmp_path / "old.json").write_text('{"recipe": {}, "data": 5}')
    given = ["--data", "digits", "--output", str(tmp_path / "out")]
    assert run(["lab", "make", str(tmp_path / "old.json"), *given]) == 0
    assert asked[0]["expected"] is None


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "a\x1b[2J", "n" * 300])
def test_a_name_that_no_file_can_have_is_refused_before_the_training(
    requests: list[dict[str, Any]], name: str
) -> None:
    assert make("--name", name) == 4
    assert requests == []


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_training(
    requests: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run(["lab", "make", "--data", "digits", "--output", "file/out"]) == 2
    assert "No file can be written to file/out: Not a directory" in capsys.readouterr().err
    assert requests == []
