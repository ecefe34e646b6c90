from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from models.architectures import build
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.errors import RecipeError
from models.probes.audit import run_audit
from models.probes.audit_run import begin
from models.probes.calibration.conditions import conditions_of
from models.probes.calibration.reference_set import ReferenceSet
from models.probes.surrogates import as_audited, settle_surrogates
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe
from models.results.audit import AuditResult
from tests.models.probes.calibration.sets import made_set
from tests.models.probes.inversion import shorten
from tests.models.probes.planted import planted_teacher, quadrant_images
from tests.models.report import sample

PATCHES, PATCHES_OF_RELATIVES = made_set(19), made_set(19, architecture="wrn-16-2")
INVERTED = made_set(19, images="inverted images", searched=100)
INVERTED_RELATIVES = made_set(99, images="inverted images", searched=100, architecture="wrn-16-2")
TOO_FEW_INVERTED = made_set(18, images="inverted images", searched=100)


def teacher(architecture: str = "wrn-16-1") -> Teacher:
    torch.manual_seed(0)
    spec = ArchitectureSpec(architecture, 10, 16)
    return Teacher(build(spec).eval(), Normalization(), spec)


def settled(sets: list[ReferenceSet], *, data: AuditData | None = None, recipe: Recipe | None = None) -> str:
    found = settle_surrogates(teacher(), data or AuditData(), recipe or Recipe(), sets)
    return found.probe.surrogates


@pytest.mark.parametrize(
    ("sets", "meant"),
    [
        ([], "patches"),
        ([PATCHES], "patches"),
        ([INVERTED], "inverted"),
        ([PATCHES, INVERTED], "inverted"),
        ([PATCHES, INVERTED_RELATIVES], "patches"),
        ([PATCHES_OF_RELATIVES, INVERTED_RELATIVES], "inverted"),
        ([PATCHES_OF_RELATIVES, INVERTED], "inverted"),
        ([PATCHES, TOO_FEW_INVERTED], "patches"),
        ([TOO_FEW_INVERTED], "patches"),
    ],
)
def test_images_are_inverted_where_the_references_for_it_are_as_good(
    sets: list[ReferenceSet], meant: str
) -> None:
    assert settled(sets) == meant


def test_the_references_must_fit_the_audit_otherwise_too() -> None:
    named = replace(INVERTED, task="digits")
    assert settled([named], recipe=Recipe(probe=ProbeRecipe(task="letters"))) == "patches"
    assert settled([named], recipe=Recipe(probe=ProbeRecipe(task="digits"))) == "inverted"
    assert settled([INVERTED], recipe=Recipe(probe=ProbeRecipe(budget="quick"))) == "patches"


def test_nothing_stands_in_where_there_are_clean_images() -> None:
    images, _ = quadrant_images(60)
    assert settled([INVERTED], data=AuditData(images=images)) == "patches"


def test_photographs_of_the_users_do_not_matter_to_inverted_images() -> None:
    """Patches of them would have no references at all."""
    given = AuditData(photographs=[torch.zeros(3, 64, 64, dtype=torch.uint8)])
    assert settled([PATCHES, INVERTED], data=given) == "inverted"


@pytest.mark.parametrize("asked", ["patches", "inverted"])
def test_what_was_asked_for_stays(asked: str) -> None:
    recipe = Recipe(probe=ProbeRecipe(surrogates=asked))
    assert settled([PATCHES, INVERTED], recipe=recipe) == asked
    assert as_audited(recipe, None) is recipe


def test_a_network_without_batchnorm_is_asked_on_patches() -> None:
    subject = planted_teacher(strength=0.0)
    fitting = made_set(
        19, images="inverted images", searched=100, architecture=subject.spec.name, num_classes=4
    )
    assert settle_surrogates(subject, AuditData(), Recipe(), [fitting]).probe.surrogates == "patches"


def test_students_are_scanned_on_what_the_audit_had() -> None:
    def meant(audit: AuditResult | None) -> str:
        return as_audited(Recipe(), audit).probe.surrogates

    found = sample.audit()
    assert meant(replace(found, image_source="inverted images")) == "inverted"
    assert meant(replace(found, image_source="surrogate patches")) == "patches"
    assert meant(None) == "patches"


QUICK = Recipe(probe=ProbeRecipe(budget="quick", transfer=False, nasty=False))


def scored_on_inverted_images(subject: Teacher) -> ReferenceSet:
    inverted = replace(QUICK, probe=replace(QUICK.probe, surrogates="inverted"))
    return replace(made_set(19), conditions=conditions_of(subject.spec, AuditData(), inverted))


def audited(subject: Teacher, recipe: Recipe) -> AuditResult:
    sets = [scored_on_inverted_images(subject)]
    return run_audit(subject, AuditData(), (), recipe, SilentMonitor(), sets=sets).result


def test_an_audit_chooses_its_images_by_the_references(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, 1)
    subject = teacher("wrn-10-1")
    chosen = audited(subject, QUICK)
    assert chosen.image_source == "inverted images"
    assert chosen.calibration is not None
    assert chosen.calibration.references == 19
    with begin(subject, AuditData(), (), QUICK, SilentMonitor()) as without:
        assert without.images.source == "surrogate patches"


def test_statistics_of_no_images_leave_patches_and_no_word_that_nothing_was_found() -> None:
    """Whoever made the weights made the statistics, and would else choose what the probes search on."""
    subject = teacher("wrn-10-1")
    norm = [module for module in subject.network.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    with torch.no_grad():
        norm.weight[0] = 0
        norm.running_mean[0] = 1e30
    found = audited(subject, QUICK)
    assert found.image_source == "surrogate patches"
    assert found.verdict != "not_detected"
    assert any("Patches of photographs stood in" in line for line in found.not_tested)
    asked = replace(QUICK, probe=replace(QUICK.probe, surrogates="inverted"))
    with pytest.raises(RecipeError) as caught:
        audited(subject, asked)
    assert caught.value.code == "batchnorm_unusable"
