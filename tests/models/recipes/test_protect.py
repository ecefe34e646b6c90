from dataclasses import replace

import pytest

from models.errors import RecipeError
from models.recipes.protect import HarmRecipe, ProtectRecipe, check_protection


def refusal(recipe: ProtectRecipe) -> str | None:
    """Give the code of the refusal, or None if the recipe is taken."""
    try:
        check_protection(recipe, labelled=True)
    except RecipeError as error:
        return error.code
    return None


def test_the_default_recipe_works_with_labelled_images() -> None:
    assert refusal(ProtectRecipe()) is None


@pytest.mark.parametrize(
    ("recipe", "labelled", "code"),
    [
        (ProtectRecipe(), False, "data_missing"),
        (ProtectRecipe(harm=HarmRecipe(architecture="cnn")), True, "architecture_unknown"),
        (ProtectRecipe(harm=HarmRecipe(architecture="timm-resnet18")), True, "recipe_invalid"),
        (ProtectRecipe(schedule="milestones"), True, "recipe_invalid"),
        (ProtectRecipe(milestones=(0.5,)), True, "recipe_invalid"),
        (ProtectRecipe(schedule="milestones", milestones=(0.5, 0.5)), True, "recipe_invalid"),
        (ProtectRecipe(harm=HarmRecipe(milestones=(0.5,))), True, "recipe_invalid"),
    ],
)
def test_what_cannot_work_is_refused(recipe: ProtectRecipe, labelled: bool, code: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check_protection(recipe, labelled=labelled)
    assert caught.value.code == code
    assert caught.value.hint


def test_rising_milestones_are_taken() -> None:
    recipe = replace(ProtectRecipe(), schedule="milestones", milestones=(0.5, 0.75))
    assert refusal(recipe) is None
    assert refusal(replace(recipe, milestones=(0.75, 0.5))) == "recipe_invalid"
