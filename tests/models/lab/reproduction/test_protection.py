"""The three students of a nasty twin are measured together, and once."""

from __future__ import annotations

from pathlib import Path

import torch

from models.data.labelled import LabelledImages
from models.engine.monitor import Monitor, ResumeState, SilentMonitor
from models.lab.reproduction.protection import SOURCES, ProtectionCell
from models.lab.reproduction.run import run_table
from models.lab.reproduction.store import Store
from models.lab.reproduction.tables import Table
from models.lab.reproduction.teachers import Folders
from models.recipes.lab import TeacherRecipe
from models.recipes.protect import HarmRecipe, ProtectRecipe
from tests.models.distillation.small import SIZE, images

TEACHER = TeacherRecipe(
    architecture="wrn-10-1", input_size=SIZE, epochs=1, batch_size=16, horizontal_flip=False
)
RECIPE = ProtectRecipe(
    max_images=100,
    batch_size=16,
    harm=HarmRecipe(architecture="plain-cnn-w16", max_images=100, batch_size=16),
)


def test_measuring_one_student_measures_the_three_of_its_twin(tmp_path: Path) -> None:
    table = Table("t", "Nasty", "cifar10", tuple(ProtectionCell(TEACHER, s, RECIPE, 0) for s in SOURCES))
    data = LabelledImages(images(80), torch.arange(80) % 4)
    begun: list[str] = []

    def watch(name: str) -> tuple[Monitor, ResumeState | None]:
        begun.append(name)
        return SilentMonitor(), None

    store = Store(tmp_path / "cells.jsonl")
    whole = run_table(
        table,
        data,
        data,
        store,
        Folders(tmp_path),
        watch=watch,
        photographs=[],
        device=torch.device("cpu"),
    )
    assert whole
    assert len(begun) == 2  # the teacher, the first student
    assert set(store.cells) == {cell.key for cell in table.cells}
    held_out = {cell.clean_accuracy.n for cell in store.cells.values()}
    assert held_out == {80}
    twin = next(cell for key, cell in store.cells.items() if "-nasty-" in key)
    assert twin.teacher_accuracy.n == 80
