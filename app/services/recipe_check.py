"""What a job's worker would refuse, refused when the job is asked for."""

from __future__ import annotations

from app.core.states import JobKind
from models.errors import RecipeError
from models.recipes.architecture_catalog import validate_student_name
from models.recipes.job import Recipe
from models.recipes.plan import plan
from models.recipes.protect import check_protection


def check_recipe(kind: JobKind, recipe: Recipe, *, labelled: bool, unlabelled: bool, triggers: int) -> None:
    """Check a recipe against the kind of job and the data at hand.

    Args:
        kind: Of the job.
        recipe: The job's.
        labelled: Whether labelled clean images are named.
        unlabelled: Whether clean images without labels are.
        triggers: How many are given.

    Raises:
        RecipeError: With a code and a hint of its own.
    """
    if recipe.student.architecture is not None:
        validate_student_name(recipe.student.architecture)
    if kind is JobKind.PROTECT:
        check_protection(recipe.protect, labelled=labelled)
        if triggers:
            raise RecipeError(
                "A protect job looks at no trigger.",
                code="recipe_invalid",
                hint="Leave triggers out, or ask for an audit of the network first.",
            )
    elif kind is not JobKind.AUDIT:
        plan(recipe, labelled=labelled, unlabelled=unlabelled)
