import subprocess
import sys

import pytest

from models.errors import RecipeError
from models.recipes.architecture_catalog import known_architectures, validate_name, validate_student_name


@pytest.mark.parametrize("family", known_architectures(), ids=lambda family: family.name)
def test_every_example_is_of_its_family(family):
    assert all(validate_name(example) is family for example in family.examples)


@pytest.mark.parametrize(
    "name", ["wrn-112-16", "wrn-10-10", "wrn-22-3", "resnet-110", "resnet-34-w16-maxpool"]
)
def test_names_within_the_ranges_are_known(name):
    assert validate_name(name).name


@pytest.mark.parametrize(
    "name",
    [
        "wrn-15-2",
        "wrn-4-1",
        "wrn-118-1",
        "wrn-16-17",
        "wrn-16-0",
        "wrn-016-2",
        "WRN-16-2",
        "resnet-19",
        "resnet-18-w64",
        "resnext-29-3x64d",
        "vgg",
    ],
)
def test_other_names_are_refused_and_the_hint_lists_the_families(name):
    with pytest.raises(RecipeError) as caught:
        validate_name(name)
    assert caught.value.code == "architecture_unknown"
    assert "wrn-D-K" in caught.value.hint
    assert len(caught.value.hint) < 400


@pytest.mark.parametrize(
    ("name", "meant"), [("resnet18", "resnet-18"), ("torchvision-resnet-34", "torchvision-resnet34")]
)
def test_what_may_have_been_meant_comes_first(name, meant):
    with pytest.raises(RecipeError, match="no architecture named") as caught:
        validate_name(name)
    assert caught.value.hint.startswith("Close to it: ")
    assert meant in caught.value.hint.partition(". ")[0].split(": ")[1].split(", ")


def test_a_student_is_offered_no_network_that_only_teachers_have():
    with pytest.raises(RecipeError) as caught:
        validate_student_name("nope")
    assert caught.value.code == "architecture_unknown"
    assert caught.value.hint.startswith("Names are wrn-D-K, resnet-D, ")
    assert "timm" not in caught.value.hint
    with pytest.raises(RecipeError, match="not a student's"):
        validate_student_name("timm-resnet18")


@pytest.mark.parametrize("name", ["", "wrn-16-2 ", "wrn-16-2\n", "wrn-1\uff16-2"])
def test_a_name_is_matched_as_a_whole(name):
    with pytest.raises(RecipeError):
        validate_name(name)


def test_the_catalog_loads_no_torch():
    code = "import sys, models.recipes.architecture_catalog; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
