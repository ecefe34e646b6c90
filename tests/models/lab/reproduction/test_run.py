"""A table of two tiny students: measured, cut off, gone on with."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from models.data.labelled import LabelledImages
from models.engine.monitor import Monitor, ResumeState, SilentMonitor
from models.errors import Interrupted, RecipeError
from models.lab.recipe_digest import digest, document
from models.lab.reproduction import run as run_module
from models.lab.reproduction.cell import Cell
from models.lab.reproduction.run import run_table
from models.lab.reproduction.store import Store
from models.lab.reproduction.tables import Table
from models.lab.reproduction.teachers import Folders, Suspect, lab_suspect
from models.lab.teachers import matched_clean
from models.recipes.job import Recipe
from models.recipes.lab import AttackRecipe, FineTuneRecipe, LatentRecipe, TeacherRecipe
from models.recipes.ood import OodRecipe
from tests.models.distillation.small import SIZE, StoppingMonitor, images

TEACHER = TeacherRecipe(
    architecture="wrn-10-1",
    input_size=SIZE,
    epochs=1,
    batch_size=16,
    horizontal_flip=False,
    attack=AttackRecipe(kind="dirty_label", trigger="badnets_grid", target_label=1),
)
RECIPE = Recipe(ood=OodRecipe(patches=64, images=64, batch_size=16))
TABLE = Table(
    "tiny",
    "Two students",
    "digits",
    tuple(Cell("grid", TEACHER, "ood", "none", "wrn-10-1", replace(RECIPE, seed=seed)) for seed in (0, 1)),
)
LATENT = LatentRecipe(steps=3, batch_size=8, target_images=4)
DATA = LabelledImages(images(), torch.arange(48) % 4)


def run(folder: Path, watch) -> tuple[Store, bool]:
    store = Store(folder / "cells.jsonl")
    whole = run_table(
        TABLE,
        DATA,
        DATA,
        store,
        Folders(folder / "work"),
        watch=watch,
        photographs=[],
        device=torch.device("cpu"),
    )
    return store, whole


def silently(name: str, made_of: object) -> tuple[Monitor, ResumeState | None]:
    del name, made_of
    return SilentMonitor(), None


def numbers(store: Store) -> list[object]:
    return [(cell.key, cell.clean_accuracy, cell.attack_success) for cell in store.cells.values()]


def test_every_cell_is_measured_once(tmp_path: Path) -> None:
    store, whole = run(tmp_path, silently)
    assert whole
    assert set(store.cells) == {cell.key for cell in TABLE.cells}
    begun: list[str] = []

    def watch(name: str, made_of: object) -> tuple[Monitor, ResumeState | None]:
        begun.append(name)
        return silently(name, made_of)

    again, whole = run(tmp_path, watch)
    assert whole
    assert begun == []
    assert numbers(again) == numbers(store)


def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_numbers(tmp_path: Path) -> None:
    expected, _ = run(tmp_path / "whole", silently)
    states: dict[str, StoppingMonitor] = {}

    def stopping(name: str, made_of: object) -> tuple[Monitor, ResumeState | None]:
        if name.startswith("teacher"):
            return silently(name, made_of)
        states[name] = StoppingMonitor(2)
        return states[name], None

    with pytest.raises(Interrupted):
        run(tmp_path / "cut", stopping)
    (cut_off,) = states
    resumed: list[str] = []

    def going_on(name: str, made_of: object) -> tuple[Monitor, ResumeState | None]:
        resumed.append(name)
        return SilentMonitor(), states[name].states[-1] if name in states else None

    store, whole = run(tmp_path / "cut", going_on)
    assert whole
    assert resumed[1] == cut_off  # the teacher was kept, so its monitor is not used
    assert numbers(store) == numbers(expected)


def test_a_teacher_of_other_images_or_of_another_default_is_made_anew(tmp_path: Path) -> None:
    """Its folder's name tells neither: digests leave defaults out, and know no data."""

    def made(work: Path, data: str) -> Path:
        lab_suspect(
            TEACHER,
            DATA,
            DATA,
            Folders(work, data=data),
            monitor=SilentMonitor(),
            resume=None,
            device=torch.device("cpu"),
        )
        (weights,) = work.glob("teachers/*/teacher.safetensors")
        return weights

    weights = made(tmp_path, "first")
    first = weights.stat().st_mtime_ns
    assert made(tmp_path, "first").stat().st_mtime_ns == first
    second = made(tmp_path, "second").stat().st_mtime_ns
    assert second > first
    recipe = json.dumps({**document(TEACHER), "learning_rate": 7.0})
    save_file(load_file(weights), weights, {**facts_of(weights), "recipe": recipe})
    assert json.loads(facts_of(made(tmp_path, "second"))["recipe"])["learning_rate"] == TEACHER.learning_rate


def facts_of(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return dict(file.metadata())


def test_other_cells_can_be_left_to_another_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "cells.jsonl")
    arguments = {"photographs": [], "device": torch.device("cpu"), "watch": silently}
    with pytest.raises(RecipeError, match="has 'zskt' in its name"):
        run_table(TABLE, DATA, DATA, store, Folders(tmp_path), only="zskt", **arguments)
    assert store.cells == {}
    run_table(TABLE, DATA, DATA, store, Folders(tmp_path), only="grid ood/none 1 ", **arguments)
    assert [cell.seed for cell in store.cells.values()] == [1]
    run_table(TABLE, DATA, DATA, store, Folders(tmp_path), only="grid ood/none ", **arguments)
    assert len(store.cells) == 2


def test_no_cell_is_begun_after_the_deadline(tmp_path: Path) -> None:
    store = Store(tmp_path / "cells.jsonl")
    whole = run_table(
        TABLE,
        DATA,
        DATA,
        store,
        Folders(tmp_path),
        watch=silently,
        photographs=[],
        device=torch.device("cpu"),
        deadline=0.0,
    )
    assert not whole
    assert store.cells == {}


def test_no_cell_is_begun_where_its_teacher_took_until_after_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time was asked for before the teacher was made, which may take hours."""
    clock = {"now": 0.0}
    monkeypatch.setattr(run_module.time, "monotonic", lambda: clock["now"])

    def watch(name: str, made_of: object) -> tuple[Monitor, ResumeState | None]:
        clock["now"] = 100.0
        return silently(name, made_of)

    arguments = {"photographs": [], "device": torch.device("cpu"), "watch": watch}
    store = Store(tmp_path / "cells.jsonl")
    assert not run_table(TABLE, DATA, DATA, store, Folders(tmp_path), deadline=50.0, **arguments)
    assert store.cells == {}
    assert len(list((tmp_path / "teachers").iterdir())) == 1


def test_attacks_that_fine_tune_share_their_clean_teacher(tmp_path: Path) -> None:
    attacks = [AttackRecipe(kind="under_clipping", trigger=name) for name in ("badnets_grid", "ring")]
    short = FineTuneRecipe(epochs=1, batch_size=16)
    teachers = [replace(TEACHER, attack=replace(attack, fine_tune=short)) for attack in attacks]
    cells = tuple(Cell("x", teacher, "ood", "none", "wrn-10-1", RECIPE) for teacher in teachers)
    table, store = replace(TABLE, cells=cells), Store(tmp_path / "cells.jsonl")
    device = torch.device("cpu")
    run_table(table, DATA, DATA, store, Folders(tmp_path), photographs=[], device=device, watch=silently)
    clean = digest(matched_clean(teachers[0]))
    assert len(list((tmp_path / "teachers").iterdir())) == 3
    made = safetensors_of(tmp_path, clean).stat().st_mtime_ns
    assert all(made < safetensors_of(tmp_path, digest(teacher)).stat().st_mtime_ns for teacher in teachers)


def test_the_trigger_on_the_clean_teacher_is_kept_and_teachers_from_before_it_was_are_read(
    tmp_path: Path,
) -> None:
    short = FineTuneRecipe(epochs=1, batch_size=16)
    teacher = replace(TEACHER, attack=AttackRecipe(kind="latent", latent=LATENT, fine_tune=short))

    def suspect() -> Suspect:
        return lab_suspect(
            teacher, DATA, DATA, Folders(tmp_path),
            monitor=SilentMonitor(), resume=None, device=torch.device("cpu"),
        )  # fmt: skip

    made = suspect()
    again = suspect()
    assert made.clean_teacher_success is not None
    assert made.clean_teacher_success == again.clean_teacher_success
    weights = safetensors_of(tmp_path, digest(teacher))
    facts = {name: fact for name, fact in facts_of(weights).items() if name != "clean_teacher_success"}
    save_file(load_file(weights), weights, facts)
    changed = weights.stat().st_mtime_ns
    assert suspect().clean_teacher_success is None
    assert weights.stat().st_mtime_ns == changed  # read, not made anew


def test_a_control_measures_the_clean_teachers_student_with_the_searched_trigger(tmp_path: Path) -> None:
    short = FineTuneRecipe(epochs=1, batch_size=16)
    teacher = replace(TEACHER, attack=AttackRecipe(kind="latent", latent=LATENT, fine_tune=short))
    student = Cell("latent", teacher, "ood", "none", "wrn-10-1", RECIPE)
    control = replace(student, row="clean", teacher=matched_clean(teacher), trigger_of=teacher)
    store = Store(tmp_path / "cells.jsonl")
    begun: list[str] = []

    def watch(name: str, made_of: object) -> tuple[Monitor, ResumeState | None]:
        begun.append(name)
        return silently(name, made_of)

    arguments = {"photographs": [], "device": torch.device("cpu"), "watch": watch}
    run_table(replace(TABLE, cells=(student, control)), DATA, DATA, store, Folders(tmp_path), **arguments)
    attacked, without = store.find(student), store.find(control)
    assert attacked is not None
    assert without is not None
    # The trigger on the clean teacher, once as the attacker's facts and once as the control's teacher.
    assert without.teacher_attack_success == attacked.clean_teacher_success is not None
    assert without.attack_success is not None
    assert without.clean_teacher_success is None
    assert len([name for name in begun if name.startswith("teacher")]) == 3  # the control reads its clean one
    shutil.rmtree(safetensors_of(tmp_path, digest(matched_clean(teacher))).parent)
    begun.clear()
    other = replace(student, recipe=replace(RECIPE, seed=1))
    run_table(replace(TABLE, cells=(other,)), DATA, DATA, store, Folders(tmp_path), **arguments)
    assert begun == [f"teacher-{digest(teacher)}", other.key]  # read; the clean one is no longer needed


def safetensors_of(work: Path, name: str) -> Path:
    return work / "teachers" / name / "teacher.safetensors"
