from __future__ import annotations

from typing import get_args

import pytest

from models.errors import RecipeError
from models.recipes.probe import Channel
from models.recipes.probe_catalog import CHANNEL_IMAGES, NASTY_PROBES, PROBES, find_probe


def test_every_probe_says_what_it_cannot_see() -> None:
    assert all(facts.blind_to for facts in (*PROBES, *NASTY_PROBES))


def test_every_channel_says_what_its_student_learns_from() -> None:
    assert set(CHANNEL_IMAGES) == set(get_args(Channel))
    assert len(set(CHANNEL_IMAGES.values())) == len(CHANNEL_IMAGES)


def test_names_are_unique() -> None:
    names = [facts.name for facts in (*PROBES, *NASTY_PROBES)]
    assert len(set(names)) == len(names)


def test_probes_of_both_flags_are_found_by_name() -> None:
    assert find_probe("student_gain").needs == "clean images"
    assert find_probe("mmbd").needs == "nothing"


def test_unknown_probe_is_answered_with_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="crystal_ball") as caught:
        find_probe("crystal_ball")
    assert "mmbd" in caught.value.hint
