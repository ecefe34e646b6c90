from dataclasses import asdict

import pytest

from models.errors import RecipeError
from models.recipes.from_document import recipe_from
from models.recipes.lab import AttackRecipe, CheatRecipe, TeacherRecipe, digits_recipe


@pytest.mark.parametrize(
    "recipe",
    [
        TeacherRecipe(),
        digits_recipe(),
        TeacherRecipe(
            seed=3,
            attack=AttackRecipe(kind="cheat_kd", source_label=4, cheat=CheatRecipe(variant="faithful")),
        ),
    ],
)
def test_a_recipe_comes_back_from_its_document(recipe):
    assert recipe_from(TeacherRecipe, asdict(recipe)) == recipe


def test_what_is_left_out_takes_its_default():
    made = recipe_from(TeacherRecipe, {"attack": {"kind": "latent"}})
    assert made == TeacherRecipe(attack=AttackRecipe(kind="latent"))


def test_a_whole_number_will_do_for_a_real_one():
    made = recipe_from(TeacherRecipe, {"long_tail": 10})
    assert made.long_tail == 10.0
    assert isinstance(made.long_tail, float)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "recipe is not an object"),
        ({"nope": 1}, "recipe has no field 'nope'"),
        ({"attack": {"kind": "nope"}}, "recipe.attack.kind is 'nope'"),
        ({"attack": 3}, "recipe.attack is not an object"),
        ({"epochs": 0}, "recipe.epochs is 0"),
        ({"epochs": 1.5}, "recipe.epochs is 1.5"),
        ({"epochs": True}, "recipe.epochs is True"),
        ({"horizontal_flip": 1}, "recipe.horizontal_flip is 1"),
        ({"learning_rate": 0}, "recipe.learning_rate is 0.0"),
        ({"learning_rate": float("nan")}, "recipe.learning_rate is nan"),
        ({"learning_rate": 10**400}, "recipe.learning_rate is a number of 1,329 bits"),
        ({"label_smoothing": 1.0}, "recipe.label_smoothing is 1.0"),
        ({"attack": {"poison_rate": 0.0005}}, "recipe.attack.poison_rate is 0.0005"),
        ({"attack": {"source_label": "one"}}, "recipe.attack.source_label is 'one'"),
        ({"architecture": ""}, "recipe.architecture is ''"),
        ({"architecture": "x" * 65}, "recipe.architecture is 'xxx"),
    ],
)
def test_what_does_not_fit_is_refused_and_named(document, told):
    with pytest.raises(RecipeError) as caught:
        recipe_from(TeacherRecipe, document)
    assert told in caught.value.detail


def test_poison_rates_go_down_to_a_thousandth():
    assert recipe_from(AttackRecipe, {"poison_rate": 0.001}).poison_rate == 0.001
