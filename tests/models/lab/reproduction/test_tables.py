"""Every table at every budget, without making anything."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from pydantic import TypeAdapter

from models.lab.recipe_digest import document
from models.lab.reproduction.budgets import Budget, cifar, features
from models.lab.reproduction.cell import Cell
from models.lab.reproduction.tables import TABLES, find_table
from models.lab.teachers import matched_clean
from models.recipes.abd import RetrospectionRecipe
from models.recipes.architecture_catalog import validate_student_name
from models.recipes.lab import TeacherRecipe

BUDGETS: tuple[Budget, ...] = get_args(Budget)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", TABLES)
def test_cells_are_told_apart_and_their_recipes_are_within_the_limits(name: str, budget: Budget) -> None:
    cells = find_table(name, budget).cells
    assert len({cell.key for cell in cells}) == len(cells) > 0
    places = [(cell.row, cell.column, cell.seed) for cell in cells]
    assert len(set(places)) == len(cells)  # two at one place would be printed as two seeds
    recipes = {cell.recipe for cell in cells} | {cell.teacher for cell in cells}
    recipes |= {cell.trigger_of for cell in cells if isinstance(cell, Cell) and cell.trigger_of is not None}
    readers = {kind: TypeAdapter(kind) for kind in map(type, recipes) if kind.__name__ != "PublicTeacher"}
    for recipe in recipes:
        if type(recipe) in readers:
            assert readers[type(recipe)].validate_python(document(recipe)) == recipe
    for cell in cells:
        validate_student_name(cell.student if isinstance(cell, Cell) else cell.recipe.harm.architecture)


@pytest.mark.parametrize("budget", BUDGETS)
def test_each_feature_attack_has_a_control_of_the_clean_teacher_and_of_the_labels(budget: Budget) -> None:
    cells = [cell for cell in find_table("robustkd-t6", budget).cells if isinstance(cell, Cell)]
    attacked = [cell for cell in cells if cell.column == "feature/none" and cell.trigger_of is None]
    assert len(attacked) == 4  # two attacks, two seeds
    for cell in attacked:
        assert isinstance(cell.teacher, TeacherRecipe)
        clean, labels = [
            other
            for other in cells
            if (other.trigger_of, other.seed, other.column) == (cell.teacher, cell.seed, "feature/none")
        ]
        assert clean.teacher == labels.teacher == matched_clean(cell.teacher)
        assert clean.recipe == cell.recipe
        assert labels.recipe.robustkd.feature.feature_weight == 0.0


def test_the_attack_on_bounds_has_a_control_that_differs_in_their_weight_alone() -> None:
    cells = find_table("clip-attacker", "small").cells
    attacked = {cell.row: cell.teacher for cell in cells if cell.row.endswith("under clipping")}
    control = {cell.row: cell.teacher for cell in cells if cell.row.endswith("without bounds")}
    for made, alone in zip(attacked.values(), control.values(), strict=True):
        clipping = replace(made.attack.clipping, weight=0.0)
        assert alone == replace(made, attack=replace(made.attack, clipping=clipping))
    assert {cell.column for cell in cells if cell.row in control} == {"ood/none", "ood/clip"}


def test_the_papers_length_has_the_papers_stretch_of_retrospection() -> None:
    settings = {budget: cifar(budget).abd.retrospection for budget in BUDGETS}
    assert settings["small"] == settings["medium"] == RetrospectionRecipe()
    # 601 of 80,000 pseudo-batches, from a fresh Adam at 5e-4 (algorithms.md 1.4).
    assert round(settings["paper"].share * cifar("paper").zskt.pseudo_batches) == 600
    assert settings["paper"].learning_rate == 5e-4


def test_masks_learn_longer_on_larger_budgets_and_the_paper_has_one_threshold() -> None:
    lengths = [features(budget).robustkd.max_images for budget in BUDGETS]
    assert lengths == [60_000, 500_000, 2_000_000]
    assert features("paper").robustkd.thresholds == (0.2,)
    epochs = {
        budget: {
            cell.teacher.attack.fine_tune.epochs
            for cell in find_table("robustkd-t6", budget).cells
            if isinstance(cell.teacher, TeacherRecipe) and cell.teacher.attack.kind != "none"
        }
        for budget in BUDGETS
    }
    assert epochs == {"small": {8}, "medium": {8}, "paper": {30}}
