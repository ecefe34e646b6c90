"""Hints for users of options stand for those for users of HTTP, as long as these are worded as they are."""

import pytest

from app.api.problem_types import PROBLEM_TYPES
from app.commands.hints import ENDINGS, IN_WORDS_OF_OPTIONS, in_words_of_options
from models.checkpoints.infer_architecture import infer_architecture
from models.errors import CheckpointRejected, RecipeError
from models.recipes.job import Method, Recipe
from models.recipes.plan import plan
from models.recipes.protect import ProtectRecipe, check_protection


def of_the_plan(method: Method) -> str:
    with pytest.raises(RecipeError) as caught:
        plan(Recipe(method=method), labelled=False, unlabelled=False)
    return caught.value.hint


def of_protecting_without_images() -> str:
    with pytest.raises(RecipeError) as caught:
        check_protection(ProtectRecipe(), labelled=False)
    return caught.value.hint


def test_every_hint_is_still_worded_so_by_the_service() -> None:
    worded = {kind.hint for kind in PROBLEM_TYPES.values()} | {
        of_the_plan("robustkd"),
        of_the_plan("vanilla"),
        of_protecting_without_images(),
    }
    assert set(IN_WORDS_OF_OPTIONS) <= worded


def test_a_hint_of_its_own_stays() -> None:
    assert in_words_of_options("Known triggers: ring.") == "Known triggers: ring."
    assert "--state-dict-key" in in_words_of_options(PROBLEM_TYPES["state_dict_ambiguous"].hint)


def test_a_network_of_no_registry_is_told_the_option_that_describes_it() -> None:
    with pytest.raises(CheckpointRejected) as caught:
        infer_architecture({"0.weight": (8, 3, 3, 3)}, declared=None, num_classes=None, input_size=None)
    assert caught.value.hint.endswith(tuple(ENDINGS))
    assert "--layers net.json" in in_words_of_options(caught.value.hint)
