"""Students that were cut off, when a default has changed since something of theirs was kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from models.engine.monitor import ResumeState
from models.lab.data import LabData
from models.lab.monitor import FileMonitor
from models.lab.recipe_digest import document
from models.lab.reproduction import __main__ as process
from models.lab.reproduction.store import Store
from models.lab.reproduction.tables import Table
from models.recipes.ood import OodRecipe
from tests.models.lab.reproduction import test_run as tiny
from tests.models.lab.reproduction.test_main import ask, signals
from tests.models.lab.reproduction.test_store import CELL as MEASURED

__all__ = ["signals"]
pytestmark = pytest.mark.usefixtures("signals")
CELL = tiny.TABLE.cells[0]
Use = Callable[[Table], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    data = LabData("tiny", tiny.DATA, tiny.DATA, ("0", "1", "2", "3"), {"training": "1", "test": "2"})
    monkeypatch.setattr(process, "load_lab_data", lambda source, test, size: data)
    return lambda table: monkeypatch.setattr(process, "find_table", lambda name, budget: table)


def cut_off(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> int:
    """Run until the first student's first state is on the disk; returns the exit code."""
    checkpoint = FileMonitor.checkpoint

    def keep(self: FileMonitor, state: ResumeState) -> None:
        checkpoint(self, state)
        self.stopping |= self.path.name == CELL.key

    with monkeypatch.context() as patched:
        patched.setattr(FileMonitor, "wants_checkpoint", lambda self: True)
        patched.setattr(FileMonitor, "checkpoint", keep)
        code, _, _ = ask(capsys, folder, minutes=None)
    return code


def test_a_student_of_a_new_default_is_begun_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, use: Use
) -> None:
    """It has the same key: what was kept of the old default was gone on with, and filed under the new one."""
    use(tiny.TABLE)
    assert cut_off(monkeypatch, capsys, tmp_path) == 130
    called = CELL.key
    assert (tmp_path / "running" / called).exists()
    (rate,) = (each for each in fields(OodRecipe) if each.name == "learning_rate")
    changed = replace(CELL, recipe=replace(CELL.recipe, ood=replace(CELL.recipe.ood, learning_rate=0.5)))
    monkeypatch.setattr(rate, "default", 0.5)
    assert changed.key == called
    use(replace(tiny.TABLE, cells=(changed,)))
    resumed, resume = [], FileMonitor.resume

    def look(self: FileMonitor) -> ResumeState | None:
        found = resume(self)
        if found is not None:
            resumed.append(self.path.name)
        return found

    monkeypatch.setattr(FileMonitor, "resume", look)
    code, _, _ = ask(capsys, tmp_path, minutes=None)
    assert (code, resumed) == (0, [])


def test_a_student_that_is_measured_anew_keeps_its_state_when_it_is_cut_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, use: Use
) -> None:
    """The line of the old default has its key, so its state was taken for that of a measured student."""
    use(tiny.TABLE)
    before = document(CELL.used)
    before["ood"]["temperature"] *= 2
    stale = replace(MEASURED, key=CELL.key, row=CELL.row, made_of=before)
    Store(tmp_path / "cells.jsonl").add(stale)
    assert cut_off(monkeypatch, capsys, tmp_path) == 130
    assert (tmp_path / "running" / CELL.key).exists()
