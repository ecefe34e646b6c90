"""docs/recipe.md is what the code writes, and holds every field."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from app.api.recipe_file import page
from models.recipes.job import Recipe

PAGE = (Path(__file__).parents[2] / "docs" / "recipe.md").read_text("utf-8")


def test_the_page_is_the_current_one() -> None:
    assert page() == PAGE, "write it again: python -m app.api.recipe_file docs/recipe.md"


def leaves(recipe: Any, prefix: str = "") -> list[str]:
    found = []
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        place = f"{prefix}{field.name}"
        found += leaves(value, f"{place}.") if is_dataclass(value) else [place]
    return found


def test_every_field_is_there_once() -> None:
    told = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert sorted(told) == sorted(leaves(Recipe()))
    assert "protect.harm.repetitions" in told
