import pytest

from models.errors import RecipeError
from models.recipes.job import Recipe
from models.recipes.plan import DATA_FREE, DATA_FREE_NAMES, plan


def test_auto_takes_robustkd_with_labels():
    chosen = plan(Recipe(), labelled=True, unlabelled=False)
    assert (chosen.method, chosen.defense, chosen.control) == ("robustkd", "robustkd", "feature")
    assert "Labelled clean images were given" in chosen.reason


def test_auto_makes_images_where_features_cannot_be_compared():
    chosen = plan(Recipe(), labelled=True, unlabelled=False, obstacle="The layer list marks no stage.")
    assert (chosen.method, chosen.defense, chosen.control) == ("fast", "abd_clip", "fast")
    assert "The layer list marks no stage." in chosen.reason
    asked = plan(Recipe(method="robustkd"), labelled=True, unlabelled=False, obstacle="It cannot.")
    assert asked.method == "robustkd"


def test_auto_takes_the_fast_method_abd_and_a_clipped_teacher_without_labels():
    chosen = plan(Recipe(), labelled=False, unlabelled=True)
    assert (chosen.method, chosen.defense, chosen.control) == ("fast", "abd_clip", "fast")


@pytest.mark.parametrize(
    ("labelled", "defense"), [(False, "auto"), (False, "none"), (True, "auto"), (True, "abd"), (True, "clip")]
)
def test_auto_takes_patches_where_no_image_can_be_made_and_says_why(labelled, defense):
    why, obstacle = "This teacher takes 224.", "The layer list marks no stage."
    chosen = plan(
        Recipe(defense=defense), labelled=labelled, unlabelled=False, obstacle=obstacle, uninvertible=why
    )
    assert chosen.method == "ood"
    assert why in chosen.reason
    asked = plan(Recipe(method="fast"), labelled=labelled, unlabelled=False, uninvertible=why)
    assert asked.method == "fast"


def test_auto_leaves_clipping_out_where_there_is_nothing_to_clip():
    why = "This teacher has no BatchNorm."
    chosen = plan(Recipe(), labelled=False, unlabelled=False, unclippable=why)
    assert chosen.defense == "abd"
    assert why in chosen.reason
    asked = plan(Recipe(defense="abd_clip"), labelled=False, unlabelled=False, unclippable=why)
    assert asked.defense == "abd_clip"


def test_auto_follows_the_defense_when_labels_are_given():
    assert plan(Recipe(defense="abd"), labelled=True, unlabelled=False).method == "fast"
    assert plan(Recipe(defense="none"), labelled=True, unlabelled=False).method == "vanilla"


def test_control_can_be_left_out():
    assert plan(Recipe(control=False), labelled=False, unlabelled=False).control is None


@pytest.mark.parametrize("method", sorted(DATA_FREE))
def test_abd_joins_every_data_free_method_and_its_control(method):
    chosen = plan(Recipe(method=method), labelled=False, unlabelled=False)
    assert (chosen.method, chosen.defense, chosen.control) == (method, "abd_clip", method)
    assert method in DATA_FREE_NAMES


def test_no_control_beside_an_undefended_student():
    assert plan(Recipe(method="zskt", defense="none"), labelled=False, unlabelled=False).control is None


@pytest.mark.parametrize("method", ["robustkd", "vanilla"])
def test_a_method_without_its_images_is_refused_with_a_hint(method):
    with pytest.raises(RecipeError) as refused:
        plan(Recipe(method=method), labelled=False, unlabelled=False)
    assert refused.value.code == "data_missing"
    assert "Upload a dataset" in refused.value.hint


@pytest.mark.parametrize("method", ["robustkd", "vanilla"])
def test_abd_joins_data_free_methods_only(method):
    with pytest.raises(RecipeError, match="ABD joins data-free methods"):
        plan(Recipe(method=method, defense="abd"), labelled=True, unlabelled=False)
