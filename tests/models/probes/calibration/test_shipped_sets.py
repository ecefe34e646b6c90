"""The sets that come with the library fit what they are for; one that does not must be made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from models.architectures import build
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.probes.calibration.choose import choose_set
from models.probes.calibration.conditions import conditions_of
from models.probes.calibration.conformal import fewest_references
from models.probes.calibration.read_set import shipped_sets
from models.probes.surrogates import settle_surrogates, with_surrogates
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.from_document import recipe_from
from models.recipes.job import Recipe
from models.recipes.probe import Surrogates

DEMO = Path(__file__).resolve().parents[4] / "scripts" / "demo_recipe.json"
IMAGES = AuditData(images=torch.zeros(200, 3, 16, 16, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("data", "surrogates", "name"),
    [
        (IMAGES, "auto", "images"),
        (AuditData(), "auto", "inverted"),
        (AuditData(), "inverted", "inverted"),
        (AuditData(), "patches", "patches"),
    ],
)
def test_audits_of_the_demos_teacher_find_references(
    data: AuditData, surrogates: Surrogates, name: str
) -> None:
    recipe = with_surrogates(recipe_from(Recipe, json.loads(DEMO.read_text())), surrogates)
    spec = ArchitectureSpec("wrn-10-2", 10, 16)
    recipe = settle_surrogates(Teacher(build(spec), Normalization(), spec), data, recipe, shipped_sets())
    choice = choose_set(conditions_of(spec, data, recipe), shipped_sets(), recipe.probe.task)
    assert choice.found is not None, choice.reason
    assert choice.found.name == f"digits-wrn-10-2-quick-{name}"
    assert choice.found.task == recipe.probe.task == "digits"


def test_with_fewer_images_than_its_references_had_an_audit_finds_none() -> None:
    recipe = recipe_from(Recipe, json.loads(DEMO.read_text()))
    few = AuditData(images=torch.zeros(199, 3, 16, 16, dtype=torch.uint8))
    choice = choose_set(conditions_of(ArchitectureSpec("wrn-10-2", 10, 16), few, recipe), shipped_sets())
    assert choice.found is None
    assert "number of images that classes were compared on (100 there, 99 here)" in choice.reason


def test_every_set_is_large_enough_and_holds_hard_cases() -> None:
    assert shipped_sets()
    for found in shipped_sets():
        assert len(found.references) >= fewest_references()
        kinds = {reference.kind for reference in found.references}
        assert {"plain", "fine-tuned", "pruned", "adversarially-trained", "long-tailed"} <= kinds
        assert all(reference.profiles.keys() == set(found.probes) for reference in found.references)


@pytest.mark.parametrize(
    ("audited", "of"),
    [
        ("vgg-small-elu", "vgg-small-elu"),
        ("resnet-20", "resnet-20"),
        ("resnet-56", "resnet-20"),
        ("wrn-16-1", "wrn-16-1"),
        ("wrn-16-2", "wrn-16-2"),
    ],
)
def test_audits_of_small_networks_on_cifar_find_references(audited: str, of: str) -> None:
    """From the checkpoint alone, with the default recipe; a deeper sibling is told that it is one."""
    conditions = conditions_of(ArchitectureSpec(audited, 10, 32), AuditData(), Recipe())
    choice = choose_set(conditions, shipped_sets())
    assert choice.found is not None, choice.reason
    assert choice.found.name == f"cifar10-{of}-standard-patches"
    assert ("same family" in choice.reason) is (audited != of)
