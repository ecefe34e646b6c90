from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from models.lab.reproduction.cell import Cell, Measured
from models.lab.reproduction.page import put_section, render_table
from models.lab.reproduction.paper import ABD_ZSKT
from models.lab.reproduction.protection import ProtectionCell
from models.lab.reproduction.store import Store
from models.lab.reproduction.tables import Table, find_table
from models.recipes.job import Recipe
from models.recipes.lab import AttackRecipe, TeacherRecipe
from models.results.rate import Rate


def cell(row: str, defense: str, seed: int) -> Cell:
    return Cell(row, TeacherRecipe(), "zskt", defense, "wrn-16-1", Recipe(seed=seed))


def measured(of: Cell, accuracy: float, success: float | None) -> Measured:
    return Measured(
        key=of.key,
        row=of.row,
        column=of.column,
        seed=of.recipe.seed,
        clean_accuracy=Rate(accuracy, 0.0, 1.0, 1_000),
        attack_success=None if success is None else Rate(success, 0.0, 1.0, 900),
        clean_target_rate=None if success is None else Rate(0.05, 0.0, 1.0, 900),
        teacher_accuracy=Rate(0.9, 0.0, 1.0, 1_000),
        teacher_attack_success=None if success is None else Rate(0.99, 0.0, 1.0, 900),
        agreement=None,
        decisions=(),
        seconds=360.0,
        machine="here",
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cells.jsonl")


CELLS = tuple(
    cell(row, defense, seed)
    for row in ("badnets_grid", "clean")
    for defense in ("none", "abd")
    for seed in (0, 1)
)
TABLE = Table("t", "A title", "cifar10", CELLS, ABD_ZSKT)


def test_seeds_are_averaged_and_missing_cells_are_dashes(store: Store) -> None:
    store.add(measured(CELLS[0], 0.6, 0.8))
    store.add(measured(CELLS[1], 0.7, 1.0))
    text = render_table(TABLE, store, "proctor reproduce t")
    assert "| badnets_grid | .900 / .990 | .650 / .900 / .050 (ASR .800 to 1.000, 2) | — |" in text
    assert "| clean | — | — | — |" in text
    assert "2 of 8 students, 0.2 h" in text
    assert "within ± 1.000" in text  # the widest of the rates above
    assert "CTR is the share" in text


def test_the_interval_is_the_widest_of_all_rates_that_stand_there(store: Store) -> None:
    """Those of CTR and of the teacher were left out; near a half they are wider than those near 0 and 1."""
    narrow = {name: Rate(0.9, 0.89, 0.91, 1_000) for name in ("clean_accuracy", "attack_success")}
    wide = Rate(0.5, 0.4, 0.6, 900)
    for name in ("clean_target_rate", "teacher_accuracy", "teacher_attack_success", "clean_teacher_success"):
        others = dict.fromkeys(("clean_target_rate", "teacher_accuracy", "teacher_attack_success"))
        others["teacher_accuracy"] = Rate(0.9, 0.89, 0.91, 1_000)
        store.add(replace(measured(CELLS[0], 0.9, 0.9), **narrow, **(others | {name: wide})))
        assert "within ± .100" in render_table(TABLE, store, "x"), name


def test_means_over_some_of_the_students_are_told_beside_the_twins_of_these(store: Store) -> None:
    """A defense measured on one student stood beside the mean of two undefended ones, as if of the same."""
    store.add(measured(CELLS[0], 0.6, 0.9))
    store.add(measured(CELLS[1], 0.8, 1.0))
    store.add(measured(CELLS[2], 0.5, 0.3))
    text = render_table(TABLE, store, "x")
    assert "the 2 students (of 1 teacher)" in text
    assert "(highest ASR .300; only 1 of these, whose undefended twins have .600 / .900 / .050)" in text


def test_machines_are_told_with_how_many_students_each_made(store: Store) -> None:
    store.add(replace(measured(CELLS[0], 0.6, 0.8), machine="there"))
    for made in CELLS[1:3]:
        store.add(measured(made, 0.7, 1.0))
    assert "(2 with here; 1 with there)" in render_table(TABLE, store, "x")


def test_the_papers_numbers_stand_below_for_rows_it_has(store: Store) -> None:
    text = render_table(TABLE, store, "proctor reproduce t")
    assert "| badnets_grid | 92.1 / 99.9 | 71.9 / 96.9 | 68.3 / 0.7 |" in text
    assert text.count("| clean |") == 1


def test_a_clean_teacher_has_no_attack_success(store: Store) -> None:
    store.add(measured(CELLS[4], 0.6, None))
    assert "| clean | .900 / — | .600 | — |" in render_table(TABLE, store, "x")


def test_defenses_are_compared_where_the_backdoor_moved(store: Store) -> None:
    for of, success in zip(CELLS[:4], (0.9, 0.5, 0.1, 0.2), strict=True):
        store.add(measured(of, 0.6, success))
    text = render_table(TABLE, store, "x")
    assert "the 1 student (of 1 teacher)" in text
    assert (
        "zskt .600 / .900 / .050 (highest ASR .900); zskt + abd .600 / .100 / .050 (highest ASR .100)" in text
    )


def test_bias_towards_the_target_is_no_transfer(store: Store) -> None:
    """A student of a blended picture had .803, and .405 without the trigger; a watermark's .990 and .327."""
    for of, success, without in zip(CELLS[:2], (0.803, 0.99), (0.405, 0.327), strict=True):
        store.add(replace(measured(of, 0.6, success), clean_target_rate=Rate(without, 0.0, 1.0, 900)))
    text = render_table(TABLE, store, "x")
    assert "the 1 student (of 1 teacher) whose undefended twin has (ASR - CTR) / (1 - CTR) of .8" in text
    assert "zskt .600 / .990 / .327" in text


def test_a_student_that_names_one_class_has_taken_nothing_over(store: Store) -> None:
    collapsed = replace(measured(CELLS[0], 0.1, 1.0), clean_target_rate=Rate(1.0, 1.0, 1.0, 900))
    store.add(collapsed)
    assert "- `zskt`" not in render_table(TABLE, store, "x")


def test_robustkd_is_compared_with_feature_distillation_from_half_the_images_on(store: Store) -> None:
    """Its undefended twin has a method of its own, and features pass a backdoor on less often."""
    rows = [(row, seed) for row in ("cheat_kd", "latent") for seed in (0, 1)]
    cells = [
        replace(CELLS[0], row=row, method=method, defense=defense, recipe=Recipe(seed=seed))
        for row, seed in rows
        for method, defense in (("feature", "none"), ("robustkd", "robustkd"))
    ]
    control = replace(cells[0], row="cheat_kd, clean teacher", trigger_of=TeacherRecipe(epochs=3))
    table = replace(TABLE, cells=(*cells, control))
    for of, success in zip(cells, (0.6, 0.1, 0.55, 0.3, 0.4, 0.9, 0.52, 0.9), strict=True):
        store.add(measured(of, 0.6, success))
    store.add(measured(control, 0.6, 0.99))  # what the trigger does by itself is no backdoor that moved
    text = render_table(table, store, "x")
    assert (
        "- `feature`, the 2 students (of 1 teacher) whose undefended twin has (ASR - CTR) / (1 - CTR) of .5"
        in text
    )
    assert (
        "feature .600 / .575 / .050 (highest ASR .600); robustkd .600 / .200 / .050 (highest ASR .300)"
        in text
    )
    assert "- `robustkd`" not in text


def test_without_an_attack_the_accuracys_spread_is_printed(store: Store) -> None:
    for of, accuracy in zip(CELLS[4:7], (0.6, 0.7, 0.8), strict=True):
        store.add(measured(of, accuracy, None))
    text = render_table(TABLE, store, "x")
    assert "| clean | .900 / — | .650 (ACC .600 to .700, 2) | .800 |" in text


def test_a_row_whose_students_have_different_teachers_says_so(store: Store) -> None:
    """Seed 0 of a row learned from one network, seeds 1 and 2 from another; the first alone was told."""
    for of, accuracy, row in (
        (CELLS[0], 0.8, "| badnets_grid | .800 / .990 |"),
        (CELLS[1], 0.9, "| badnets_grid | .800 to .900 / .990 |"),
    ):
        assert "made twice" not in render_table(TABLE, store, "x")
        store.add(replace(measured(of, 0.6, 0.9), teacher_accuracy=Rate(accuracy, 0.0, 1.0, 1_000)))
        assert row in render_table(TABLE, store, "x")
    assert "A teacher with two numbers was made twice" in render_table(TABLE, store, "x")


def test_a_twin_made_for_every_seed_is_no_teacher_made_twice(store: Store) -> None:
    table = find_table("nasty-t1", "small")
    twins = [of for of in table.cells if isinstance(of, ProtectionCell) and of.source == "nasty"][:2]
    for of, accuracy in zip(twins, (0.8, 0.9), strict=True):
        made = replace(measured(CELLS[0], 0.6, None), key=of.key, row=of.row, column=of.column, seed=of.seed)
        store.add(replace(made, teacher_accuracy=Rate(accuracy, 0.0, 1.0, 1_000)))
    text = render_table(table, store, "x")
    assert ".800 to .900 / —" in text
    assert "made twice" not in text
    assert "twin and students are made anew for each" in text


def test_means_are_over_teachers_not_over_their_students(store: Store) -> None:
    """Three seeds of one trigger must not outvote the others."""
    cells = [cell("often", defense, seed) for defense in ("none", "abd") for seed in range(3)]
    cells += [cell("once", defense, 0) for defense in ("none", "abd")]
    for of in cells:
        success = 1.0 if of.defense == "none" else 0.0 if of.row == "often" else 0.8
        store.add(measured(of, 0.6, success))
    text = render_table(replace(TABLE, cells=tuple(cells)), store, "x")
    assert "the 4 students (of 2 teachers)" in text
    assert "zskt + abd .600 / .400 / .050 (highest ASR .800)" in text


def test_an_attack_made_against_a_defense_is_in_no_mean(store: Store) -> None:
    """The clipped teacher's mean once was over ordinary teachers and over those that know the bounds."""
    usual = [cell("usual", defense, 0) for defense in ("none", "clip")]
    knowing = TeacherRecipe(attack=AttackRecipe(kind="under_clipping"))
    aware = [replace(of, row="aware", teacher=knowing) for of in usual]
    for of in (*usual, *aware):
        store.add(measured(of, 0.6, 0.1 if of.row == "usual" and of.defense == "clip" else 1.0))
    text = render_table(replace(TABLE, cells=(*usual, *aware)), store, "x")
    assert "| aware |" in text
    assert "the 1 student (of 1 teacher)" in text
    assert "zskt + clip .600 / .100 / .050 (highest ASR .100)" in text


def test_what_a_searched_trigger_does_to_the_clean_teacher_stands_beside_it(store: Store) -> None:
    store.add(measured(CELLS[0], 0.6, 0.9))
    assert "In brackets" not in render_table(TABLE, store, "x")
    store.add(replace(measured(CELLS[0], 0.6, 0.9), clean_teacher_success=Rate(0.694, 0.6, 0.8, 900)))
    text = render_table(TABLE, store, "x")
    assert "| badnets_grid | .900 / .990 (clean .694) |" in text
    assert "In brackets: what a teacher's trigger does to the clean teacher" in text


def test_a_section_replaces_its_older_self_and_nothing_else() -> None:
    page = put_section("# Results\n", "t small", "first\n")
    page = put_section(page, "u small", "other\n")
    page = put_section(page, "t small", "second\n")
    assert page.count("reproduce t small") == 1
    assert "second" in page
    assert "first" not in page
    assert "other" in page
    assert page.startswith("# Results\n")


def test_a_key_changes_with_every_length() -> None:
    one = cell("a", "none", 0)
    assert one.key == cell("a", "none", 0).key
    longer = replace(one, recipe=replace(one.recipe, zskt=replace(one.recipe.zskt, pseudo_batches=7)))
    assert longer.key != one.key
    assert replace(one, teacher=TeacherRecipe(epochs=31)).key != one.key


def test_a_column_without_a_defense_has_no_plus(store: Store) -> None:
    assert "| teacher | ACC / ASR | plain-cnn-w16 |" in render_table(
        find_table("nasty-t1", "small"), store, "x"
    )
