from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.data.bundle import AuditData
from models.probes.calibration.choose import choose_set
from models.probes.calibration.conditions import conditions_of
from models.recipes.architecture import ArchitectureSpec
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe
from tests.models.probes.calibration.sets import conditions, made_set


def test_a_set_under_the_same_conditions_fits() -> None:
    wanted = made_set(19)
    assert choose_set(conditions(), [made_set(99, num_classes=43), wanted]).found == wanted


@pytest.mark.parametrize(
    "change, word",
    [
        ({"num_classes": 43}, "number of classes (43 there, 10 here)"),
        ({"input_size": 32}, "input size (32 there, 16 here)"),
        ({"budget": "quick"}, "budget (quick there, standard here)"),
        ({"images": "clean images", "patch_style": None}, "images that the probes searched on"),
        ({"images": "inverted images", "searched": 100}, "searched on (inverted images there, patches here)"),
        ({"searched": 60}, "number of images that classes were compared on (60 there, 500 here)"),
        ({"architecture": "vgg-11"}, "architecture (vgg-11 there, wrn-16-1 here)"),
        ({"effort": {"patch_steps": 1}}, "they have changed since"),
        ({"scoring_version": 9}, "they have changed since"),
    ],
)
def test_what_keeps_a_set_from_fitting_is_named(change: dict[str, object], word: str) -> None:
    choice = choose_set(conditions(), [made_set(99, **change)])
    assert choice.found is None
    assert word in choice.reason


def test_what_follows_from_another_budget_is_no_difference_of_its_own() -> None:
    other = made_set(19, budget="quick", effort={"patch_steps": 1}, searched=300)
    reason = choose_set(conditions(), [other]).reason
    assert reason.endswith("differs in: budget (quick there, standard here).")


def test_a_set_of_another_task_than_the_one_named_does_not_fit() -> None:
    letters = replace(made_set(19), task="letters")
    choice = choose_set(conditions(), [letters], "digits")
    assert choice.found is None
    assert choice.reason.endswith("differs in: task (letters there, digits here).")
    assert choose_set(conditions(), [letters]).found == letters
    assert choose_set(conditions(), [made_set(19)], "digits").found == made_set(19)


def test_the_nearest_set_is_the_one_that_is_explained() -> None:
    far = made_set(99, name="far", budget="quick", num_classes=43)
    near = made_set(99, name="near", num_classes=43)
    assert "near" in choose_set(conditions(), [far, near]).reason


def test_without_any_set_that_is_the_reason() -> None:
    assert choose_set(conditions(), []).found is None


def test_a_relative_fits_and_it_is_said() -> None:
    choice = choose_set(conditions(), [made_set(19, architecture="wrn-16-2")])
    assert choice.found is not None
    assert "wrn-16-2, of the same family as this network (wrn-16-1)" in choice.reason


def test_the_same_architecture_comes_before_more_relatives() -> None:
    same = made_set(19)
    assert choose_set(conditions(), [made_set(99, architecture="wrn-16-2"), same]).found == same


def test_of_two_relatives_the_one_nearer_in_size_is_taken() -> None:
    small, large = made_set(99, architecture="wrn-16-1"), made_set(19, architecture="wrn-16-2")
    assert choose_set(conditions(architecture="wrn-28-4"), [small, large]).found == large
    assert choose_set(conditions(architecture="wrn-10-1"), [large, small]).found == small


def test_relatives_that_allow_a_detection_come_before_a_few_of_the_same() -> None:
    relatives = made_set(19, architecture="wrn-16-2")
    assert choose_set(conditions(), [made_set(5), relatives]).found == relatives


def test_networks_described_by_their_layers_have_no_relatives() -> None:
    wanted = conditions(architecture="layers-0123abcd")
    assert choose_set(wanted, [made_set(19)]).found is None
    assert choose_set(wanted, [made_set(19, architecture="layers-0123abcd")]).found is not None


def test_patches_of_given_photographs_are_not_compared_with_others() -> None:
    data = AuditData(photographs=[torch.zeros(3, 64, 64, dtype=torch.uint8)])
    wanted = conditions_of(ArchitectureSpec("wrn-16-1", 10, 16), data, Recipe())
    choice = choose_set(wanted, [made_set(99)])
    assert choice.found is None
    assert "other photographs" in choice.reason


def test_inverted_images_begin_alike_whatever_photographs_are_given() -> None:
    spec, recipe = ArchitectureSpec("wrn-16-1", 10, 16), Recipe(probe=ProbeRecipe(surrogates="inverted"))
    given = AuditData(photographs=[torch.zeros(3, 64, 64, dtype=torch.uint8)])
    wanted = conditions_of(spec, given, recipe)
    assert wanted == conditions_of(spec, AuditData(), recipe)
    assert (wanted.images, wanted.searched) == ("inverted images", 100)
    assert choose_set(wanted, [made_set(99)]).found is None
    fitting = made_set(19, images="inverted images", searched=100)
    assert choose_set(wanted, [fitting]).found == fitting
