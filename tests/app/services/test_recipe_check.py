import pytest

from app.core.states import JobKind
from app.services.recipe_check import check_recipe
from models.errors import RecipeError
from models.recipes.job import Recipe
from models.recipes.student import StudentRecipe


def refusal(kind: JobKind, recipe: Recipe, *, labelled: bool) -> str | None:
    """Give the code of the refusal, or None if the recipe is taken."""
    try:
        check_recipe(kind, recipe, labelled=labelled, unlabelled=False, triggers=0)
    except RecipeError as error:
        return error.code
    return None


def test_a_protect_job_does_not_mind_how_a_student_would_be_distilled() -> None:
    recipe = Recipe(method="vanilla", defense="abd")
    assert refusal(JobKind.DISTILL, recipe, labelled=True) == "recipe_invalid"
    assert refusal(JobKind.PROTECT, recipe, labelled=True) is None


@pytest.mark.parametrize(
    ("kind", "labelled", "triggers", "code"),
    [
        (JobKind.PROTECT, False, 0, "data_missing"),
        (JobKind.PROTECT, True, 1, "recipe_invalid"),
        (JobKind.CLEAN, False, 0, "data_missing"),
        (JobKind.DISTILL, False, 0, "data_missing"),
    ],
)
def test_what_the_worker_would_refuse_is_refused(
    kind: JobKind, labelled: bool, triggers: int, code: str
) -> None:
    recipe = Recipe() if kind is JobKind.PROTECT else Recipe(method="robustkd")
    with pytest.raises(RecipeError) as caught:
        check_recipe(kind, recipe, labelled=labelled, unlabelled=True, triggers=triggers)
    assert caught.value.code == code


def test_an_audit_takes_any_method() -> None:
    assert refusal(JobKind.DISTILL, Recipe(method="robustkd"), labelled=False) == "data_missing"
    assert refusal(JobKind.AUDIT, Recipe(method="robustkd"), labelled=False) is None


def test_a_students_name_is_checked_for_every_kind() -> None:
    recipe = Recipe(student=StudentRecipe("wrn-9-1"))
    for kind in (JobKind.AUDIT, JobKind.CLEAN, JobKind.PROTECT):
        with pytest.raises(RecipeError):
            check_recipe(kind, recipe, labelled=True, unlabelled=False, triggers=0)
