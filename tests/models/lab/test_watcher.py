from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from models.engine.monitor import ResumeState
from models.lab.recipe_digest import digest
from models.lab.watcher import Watcher
from models.recipes.lab import TeacherRecipe

CPU = torch.device("cpu")
STATE = ResumeState({"w": torch.arange(6.0)}, {"tree": [1]})


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def found(folder: Path, *, data: str = "a", device: str = "cpu") -> ResumeState | None:
    _, resume = Watcher(folder, data, torch.device(device)).watch("work", TeacherRecipe())
    return resume


def test_a_state_is_a_beginning_of_the_same_work_on_the_same_data_and_device(tmp_path: Path) -> None:
    monitor, _ = Watcher(tmp_path, "a", CPU).watch("work", TeacherRecipe())
    monitor.checkpoint(STATE)
    assert found(tmp_path) is not None
    assert found(tmp_path, data="b") is None
    assert found(tmp_path, device="cuda") is None


def test_a_state_of_another_default_is_no_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is called as before; it was gone on with, and its result kept under the new default."""
    monitor, _ = Watcher(tmp_path, "a", CPU).watch("work", TeacherRecipe())
    monitor.checkpoint(STATE)
    called = digest(TeacherRecipe())
    (rate,) = (each for each in fields(TeacherRecipe) if each.name == "learning_rate")
    changed = TeacherRecipe(learning_rate=7.0)
    monkeypatch.setattr(rate, "default", 7.0)
    assert digest(changed) == called
    _, resume = Watcher(tmp_path, "a", CPU).watch("work", changed)
    assert resume is None


def test_only_states_of_finished_work_are_deleted(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, "a", CPU)
    for name in ("done", "cut off"):
        monitor, _ = watcher.watch(name, TeacherRecipe())
        monitor.checkpoint(STATE)
    watcher.forget({"done"})
    assert [path.name for path in tmp_path.iterdir()] == ["cut off"]
