from __future__ import annotations

import pytest

from models.errors import RecipeError
from models.recipes.probe_catalog import PROBES, find_probe


def test_every_probe_says_what_it_cannot_see() -> None:
    assert all(facts.blind_to for facts in PROBES)


def test_names_are_unique() -> None:
    assert len({facts.name for facts in PROBES}) == len(PROBES)


def test_unknown_probe_is_answered_with_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="crystal_ball") as caught:
        find_probe("crystal_ball")
    assert "mmbd" in caught.value.hint
