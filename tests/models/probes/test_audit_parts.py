from __future__ import annotations

from itertools import pairwise

import pytest

from models.probes.audit_parts import part_spans
from models.probes.effort import EFFORTS
from models.recipes.probe import Budget, ProbeRecipe, Surrogates


def spans(
    budget: Budget,
    num_classes: int,
    *,
    clean: bool = False,
    transfer: bool = True,
    surrogates: Surrogates = "patches",
):
    recipe = ProbeRecipe(budget=budget, transfer=transfer, surrogates=surrogates)
    return part_spans(EFFORTS[budget], recipe, num_classes, given=clean, enough=clean)


def length(span: tuple[float, float]) -> float:
    return span[1] - span[0]


@pytest.mark.parametrize("budget", ["quick", "standard", "thorough"])
def test_parts_follow_each_other_from_beginning_to_end(budget: Budget) -> None:
    found = list(spans(budget, 10, clean=True).values())
    assert (found[0][0], found[-1][1]) == (0, 1)
    assert all(first[1] == second[0] for first, second in pairwise(found))


def test_many_classes_at_budget_thorough_are_mostly_margins_and_comparison() -> None:
    """They had .22 of the bar, so the rest was foretold to take four times as long as it did."""
    assert spans("thorough", 1_000)["comparison"][1] > 0.9
    assert spans("standard", 10)["comparison"][1] < 0.3


def test_students_in_pairs_have_their_share_where_they_are_trained() -> None:
    assert length(spans("thorough", 10, clean=True)["nasty"]) > 0.3
    assert length(spans("thorough", 10)["nasty"]) < 0.01
    assert length(spans("standard", 10, clean=True)["nasty"]) < 0.01


def test_what_is_not_asked_takes_no_time() -> None:
    assert length(spans("standard", 10, transfer=False)["transfer"]) == 0


def test_images_are_inverted_only_where_clean_ones_are_missing() -> None:
    assert length(spans("quick", 10)["images"]) == 0
    assert length(spans("quick", 10, surrogates="inverted")["images"]) > 0.1
    assert length(spans("quick", 10, surrogates="inverted", clean=True)["images"]) == 0
