"""The students of nasty twins: two of each seed for all twins, one for each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from models.data.labelled import LabelledImages
from models.distillation.nasty.self_undermining import nasty_loss
from models.engine.monitor import Monitor, ResumeState, SilentMonitor
from models.lab.reproduction.cell import Measured
from models.lab.reproduction.protection import NO_OMEGA, ProtectionCell
from models.lab.reproduction.run import run_table
from models.lab.reproduction.store import Store
from models.lab.reproduction.tables import Table, find_table
from models.lab.reproduction.teachers import Folders
from models.recipes.lab import TeacherRecipe
from models.recipes.nasty_tables import NASTY_EXPERIMENTS
from models.recipes.protect import HarmRecipe, ProtectRecipe
from models.results.protection import Source
from tests.models.distillation.small import SIZE, images

TEACHER = TeacherRecipe(
    architecture="wrn-10-1", input_size=SIZE, epochs=1, batch_size=16, horizontal_flip=False
)
RECIPE = ProtectRecipe(
    omega=0.004,
    start="scratch",
    max_images=100,
    batch_size=16,
    harm=HarmRecipe(architecture="plain-cnn-w16", max_images=100, batch_size=16),
)
DATA = LabelledImages(images(80), torch.arange(80) % 4)


def cell(source: Source, omega: float = 0.004) -> ProtectionCell:
    return ProtectionCell(TEACHER, source, replace(RECIPE, omega=omega), 0)


def measure(folder: Path, *cells: ProtectionCell) -> tuple[dict[str, Measured], list[str]]:
    begun: list[str] = []

    def watch(name: str, made_of: object) -> tuple[Monitor, ResumeState | None]:
        begun.append(name)
        return SilentMonitor(), None

    store = Store(folder / "cells.jsonl")
    run_table(
        Table("t", "Nasty", "cifar10", cells),
        DATA,
        DATA,
        store,
        Folders(folder),
        watch=watch,
        photographs=[],
        device=torch.device("cpu"),
    )
    return store.cells, begun


def test_students_of_labels_and_network_are_trained_once_for_all_twins(tmp_path: Path) -> None:
    cells = (cell("labels"), cell("original"), cell("nasty"), cell("nasty", 4.0))
    found, begun = measure(tmp_path, *cells)
    assert begun[1:] == [cells[0].key, cells[3].key]  # after the teacher
    assert set(found) == {each.key for each in cells}
    assert {measured.clean_accuracy.n for measured in found.values()} == {80}
    twins = [found[each.key].teacher_accuracy for each in cells]
    assert twins[0] == twins[1]
    assert twins[2] != twins[3]


def test_a_student_does_not_depend_on_who_is_trained_beside_it(tmp_path: Path) -> None:
    beside, _ = measure(tmp_path / "together", cell("labels"))
    alone, _ = measure(tmp_path / "alone", cell("nasty"))
    (key,) = alone
    assert alone[key].clean_accuracy == beside[key].clean_accuracy
    assert alone[key].teacher_accuracy == beside[key].teacher_accuracy


def test_omega_is_part_of_the_nasty_students_alone() -> None:
    assert cell("labels").key == cell("labels", 4.0).key
    assert cell("original").key == cell("original", 4.0).key
    assert cell("nasty").key != cell("nasty", 4.0).key


def test_a_twin_is_trained_from_new_weights_and_no_longer_than_the_network() -> None:
    """From the network's own weights it trained twice as long, and taught better than it."""
    for budget in ("small", "medium", "paper"):
        table = find_table("nasty-t1", budget)
        assert len({each.key for each in table.cells}) == len(table.cells) == 15
        for each in table.cells:
            assert isinstance(each, ProtectionCell)
            assert each.recipe.start == "scratch"
            assert each.recipe.epochs == each.teacher.epochs


def test_nasty_twins_stand_beside_an_honest_one_that_differs_in_omega_alone() -> None:
    """The network itself was trained by another loop: what its students lacked may have come from that."""
    twins = [each for each in find_table("nasty-t1", "small").cells if each.source == "nasty"]
    assert list(dict.fromkeys(each.row for each in twins)) == [
        "its honest twin",
        "its nasty twin, omega 0.004",
        "its nasty twin, omega 0.04",
    ]
    assert len({replace(each, recipe=replace(each.recipe, omega=1.0)) for each in twins}) == 3  # the seeds


def test_an_honest_twin_learns_the_labels_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, original = 5.0 * torch.randn(2, 64, 10, generator=generator)
    labels = torch.arange(64) % 10
    parts = nasty_loss(logits, original, labels, omega=NO_OMEGA, temperature=4.0)
    assert parts["divergence"] > 1.0
    assert parts["loss"] == parts["label_loss"]


def test_the_papers_budget_is_the_papers_first_row() -> None:
    cell = find_table("nasty-t1", "paper").cells[-1]
    assert isinstance(cell, ProtectionCell)
    assert (cell.teacher.architecture, cell.recipe) == ("resnet-18", NASTY_EXPERIMENTS[0].recipe)
