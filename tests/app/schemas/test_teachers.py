"""What an uploader may declare."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.schemas.teachers import TeacherQuery
from models.recipes.architecture_catalog import FAMILIES
from models.recipes.blueprints.library import LIBRARY
from models.recipes.blueprints.mobile import SHUFFLENETS

NAMES = {*(name for family in FAMILIES for name in family.examples), *LIBRARY, *SHUFFLENETS}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_of_the_registry_can_be_declared(name: str) -> None:
    assert TeacherQuery(architecture=name).architecture == name


@pytest.mark.parametrize(
    "name", ["../x", "timm-../../x", "hf_hub:a/b", "", ".hidden", "WRN-16-2", "w" * 65, "a b"]
)
def test_what_could_be_a_path_or_an_address_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError):
        TeacherQuery(architecture=name)
