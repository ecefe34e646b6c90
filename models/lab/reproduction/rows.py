"""The rows of a table: a teacher, and its students of each defense and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from models.lab.reproduction import budgets
from models.lab.reproduction.budgets import Budget
from models.lab.reproduction.cell import Cell, PublicTeacher, StudentMethod
from models.recipes.job import Recipe
from models.recipes.lab import AttackRecipe, TeacherRecipe
from models.recipes.plan import AppliedDefense

_CLEAN_LABEL = ("sig", "clean_label_corners")
DEFENSES: tuple[AppliedDefense, ...] = ("none", "abd", "clip", "abd_clip")
_DIGITS_TARGET = 3
_CIFAR_TARGET = 0


def digits_teacher(trigger: str) -> TeacherRecipe:
    """Return the recipe of the digits teacher with a trigger."""
    return poisoned(budgets.DIGITS_TEACHER, trigger, _DIGITS_TARGET)


def poisoned(clean: TeacherRecipe, trigger: str, target_label: int) -> TeacherRecipe:
    """Return a teacher's recipe with dirty labels, or clean ones where the trigger is of that kind.

    Args:
        clean: How the teacher is trained.
        trigger: Its name, or ``clean``.
        target_label: What the attacker wants.
    """
    if trigger == "clean":
        return clean
    kind: Literal["clean_label", "dirty_label"] = "clean_label" if trigger in _CLEAN_LABEL else "dirty_label"
    # The target class of ten has a tenth of the images; 5 % of them stay as they are.
    rate = 0.095 if kind == "clean_label" else 0.1
    attack = AttackRecipe(kind=kind, trigger=trigger, target_label=target_label, poison_rate=rate)
    return replace(clean, attack=attack)


def students(
    row: str,
    teacher: TeacherRecipe | PublicTeacher,
    method: StudentMethod,
    student: str,
    recipe: Recipe,
    *,
    seeds: Sequence[int],
) -> list[Cell]:
    """Return the cells of one teacher and method: each defense, each seed."""
    return [
        Cell(row, teacher, method, defense, student, replace(recipe, seed=seed))
        for seed in seeds
        for defense in DEFENSES
    ]


def cifar_students(
    rows: Sequence[str], method: StudentMethod, budget: Budget, *, seeds: int
) -> tuple[Cell, ...]:
    """Return the students of WRN-16-2 teachers on CIFAR-10, one teacher a row.

    Args:
        rows: Triggers, or ``clean``.
        method: How the students learn.
        budget: How long.
        seeds: How many, from 0 on.
    """
    teacher = budgets.cifar_teacher(budget)
    return tuple(
        cell
        for row in rows
        for cell in students(
            row,
            poisoned(teacher, row, _CIFAR_TARGET),
            method,
            "wrn-16-1",
            budgets.cifar(budget),
            seeds=range(seeds),
        )
    )
