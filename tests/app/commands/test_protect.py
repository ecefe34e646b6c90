import json
from pathlib import Path
from typing import Any

import pytest

from app.cli import run
from app.commands import protect
from app.commands.options import JobOptions


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("mine.pt", "images.zip"):
        (tmp_path / name).write_bytes(b"bytes")
    return tmp_path / "mine.pt", tmp_path / "images.zip"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[JobOptions]:
    """What the command would have done."""
    kept: list[JobOptions] = []

    def keep(output: Any, teacher: str, options: JobOptions, folder: Path, home: Path | None) -> int:
        kept.append(options)
        return 0

    monkeypatch.setattr(protect, "run_here", keep)
    return kept


def test_without_options_the_recipe_is_the_services_own(files: tuple[Path, Path], asked: list) -> None:
    teacher, data = files
    assert run(["protect", str(teacher), "--data", str(data)]) == 0
    (options,) = asked
    assert options.request == {"kind": "protect", "device": "cpu", "recipe": {}}
    assert options.data == {"labelled": data}


def test_options_become_fields_of_the_recipe(files: tuple[Path, Path], asked: list, tmp_path: Path) -> None:
    teacher, data = files
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"protect": {"omega": 1, "decay": 0.3, "harm": {"epochs": 2}}, "seed": 1}))
    given = [
        "--omega=0.02", "--temperature=20", "--start=original", "--student=wrn-10-1", "--repetitions=3",
        "--seed=7", "--max-images=5000", f"--recipe={recipe}", "--architecture=wrn-16-2",
    ]  # fmt: skip
    assert run(["protect", str(teacher), "--data", str(data), *given]) == 0
    (options,) = asked
    assert options.request["recipe"] == {
        "seed": 7,
        "protect": {
            "omega": 0.02, "temperature": 20.0, "start": "original", "decay": 0.3, "max_images": 5000,
            "harm": {"architecture": "wrn-10-1", "repetitions": 3, "epochs": 2},
        },
    }  # fmt: skip
    assert options.teacher == {"architecture": "wrn-16-2"}


def test_images_are_needed(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["protect", str(files[0])]) == 4
    assert "--data" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[]", '{"protect": null}', '{"protect": {"harm": 5}}'])
def test_a_recipe_must_be_an_object_of_sections(
    files: tuple[Path, Path], tmp_path: Path, asked: list, content: str
) -> None:
    (tmp_path / "recipe.json").write_text(content)
    given = ["--data", str(files[1]), f"--recipe={tmp_path / 'recipe.json'}", "--repetitions=2"]
    assert run(["protect", str(files[0]), *given]) == 4
    assert asked == []


def test_what_no_recipe_takes_is_refused_at_once(
    files: tuple[Path, Path], asked: list, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["protect", str(files[0]), "--data", str(files[1]), "--omega=nan"]) == 4
    assert "recipe.protect.omega" in capsys.readouterr().err
    assert asked == []
