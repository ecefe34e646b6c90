"""The process behind ``proctor reproduce``, run in this one."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.lab.data import LabData
from models.lab.recipe_digest import document
from models.lab.reproduction import __main__ as process
from models.lab.reproduction.store import Store
from models.lab.reproduction.tables import find_table
from models.recipes.lab import AttackRecipe, FineTuneRecipe
from tests.models.lab.reproduction import test_run as tiny
from tests.models.lab.reproduction.test_store import CELL
from tests.models.lab.test_data import write_folder


@pytest.fixture
def signals() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def ask(capsys: pytest.CaptureFixture[str], folder: Path, **changes: Any) -> tuple[int, str, str]:
    request = {
        "table": "clip-attacker", "budget": "small", "data": None, "work": str(folder),
        "store": str(folder / "cells.jsonl"), "write": None, "patterns": None, "checkpoints": None,
        "photographs": [], "minutes": 0, "only": "", "device": "cpu", "threads": None, "json": True,
    } | changes  # fmt: skip
    code = process.main([json.dumps(request)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_table_is_json_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = find_table("clip-attacker", "small")
    first = table.cells[0]
    made = replace(CELL, key=first.key, row=first.row, made_of=document(first.used))
    Store(tmp_path / "cells.jsonl").add(made)
    code, out, _ = ask(capsys, tmp_path)
    assert code == 0
    told = json.loads(out)
    assert [student["key"] for student in told["measured"]] == [first.key]
    assert told["measured"][0]["clean_accuracy"] == {"value": 0.5, "low": 0.4, "high": 0.6, "n": 100}
    assert told["missing"] == [cell.key for cell in table.cells[1:]]
    _, text, _ = ask(capsys, tmp_path, json=False)
    assert told["markdown"] == text
    assert text.startswith("### An attacker who knows the clipped teacher")


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        ({"table": "abd-t9"}, 4, "table_unknown"),
        ({"table": "abd-t1", "minutes": None}, 4, "data_missing"),
        ({"write": "nowhere/page.md"}, 2, "os_error"),
        ({"store": "a folder"}, 2, "os_error"),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence_with_a_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a folder").mkdir()
    found, out, _ = ask(capsys, tmp_path, **changes)
    assert (found, json.loads(out)["error"]["code"]) == (code, told)
    found, out, said = ask(capsys, tmp_path, **changes, json=False)
    # A page that cannot be written takes nothing from the reader: the table is printed first.
    assert (found, bool(out)) == (code, "write" in changes)
    assert said.startswith("Error: ")


def test_other_data_than_the_tables_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CIFAR-100 was taken for CIFAR-10, and its students filled the table."""
    for half in ("train", "test"):
        write_folder(tmp_path / half, {"cat/1.png": 10, "dog/1.png": 30})
    code, out, _ = ask(capsys, tmp_path, table="fast", data=str(tmp_path), minutes=None)
    assert (code, json.loads(out)["error"]["code"]) == (3, "labels_mismatch")
    assert not (tmp_path / "cells.jsonl").exists()


@pytest.mark.usefixtures("signals")
def test_what_is_finished_leaves_no_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A teacher's stayed; made anew after a default had changed, it came out of that as it was before."""
    attack = AttackRecipe(kind="under_clipping", fine_tune=FineTuneRecipe(epochs=1, batch_size=16))
    attacked = replace(tiny.TABLE.cells[0], teacher=replace(tiny.TEACHER, attack=attack))
    table = replace(tiny.TABLE, cells=(*tiny.TABLE.cells, attacked))
    data = LabData("tiny", tiny.DATA, tiny.DATA, ("0", "1", "2", "3"), {"training": "1", "test": "2"})
    monkeypatch.setattr(process, "find_table", lambda name, budget: table)
    monkeypatch.setattr(process, "load_lab_data", lambda source, test, size: data)
    code, out, said = ask(capsys, tmp_path, minutes=None)
    assert (code, json.loads(out)["missing"]) == (0, [])
    assert len(said.split()) == 6  # two teachers and the clean one that the second began with, three students
    assert list((tmp_path / "running").iterdir()) == []


def test_words_that_no_student_has_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], signals: None
) -> None:
    """A slip of the finger measured nothing, and a script took that for done."""
    code, out, _ = ask(capsys, tmp_path, minutes=None, only="watermark_substitut ood")
    told = json.loads(out)["error"]
    assert (code, told["code"]) == (4, "only_matches_nothing")
    assert "' badnets_grid ood/none 0 '" in told["hint"]
