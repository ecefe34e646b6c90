"""When the network that was asked may not be the one that is used."""

from __future__ import annotations

import pytest
import torch

from models.architectures import build
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.errors import TrainingFailed
from models.metrics import wilson
from models.probes.audit import run_audit
from models.probes.calibration.score import score_teacher
from models.probes.doubts import NO_DOUBT, Doubts, crowding, doubts_of
from models.probes.label_check import check_labels
from models.probes.probe_images import ProbeImages
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe
from models.results.teacher_check import NormalizationCheck, NormalizationTrial, TeacherCheck
from tests.models.probes.planted import planted_teacher, quadrant_images

LABELS = torch.arange(100) % 10
RECIPE = Recipe(probe=ProbeRecipe(budget="quick", transfer=False, nasty=False))


def normalization(own: int, other: int, *, replaced: bool = False) -> NormalizationCheck:
    """Right on ``own`` of 100 images as given, on ``other`` another way."""
    trials = (
        NormalizationTrial("the declared normalization", Normalization(), wilson(own, 100), None),
        NormalizationTrial("another", Normalization(), wilson(other, 100), 1e-9),
    )
    better = "another" if other > own else None
    return NormalizationCheck(trials, better, replaced, Normalization(), "The other is better.")


def check(predictions: torch.Tensor, found: NormalizationCheck) -> TeacherCheck:
    return TeacherCheck(100, check_labels(predictions, LABELS, num_classes=10), found, ())


RIGHT, CONSTANT = LABELS, torch.full((100,), 7)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (check(RIGHT, normalization(100, 90)), ""),
        (check((LABELS + 1) % 10, normalization(100, 90)), ""),  # another order of the classes
        (check(torch.where(LABELS < 4, LABELS, 9), normalization(50, 40)), ""),  # weak, and no worse
        (check(RIGHT, normalization(50, 52)), ""),
        (check(RIGHT, normalization(50, 90, replaced=True)), ""),
        (check(RIGHT, normalization(50, 90)), "The other is better."),
        (check(CONSTANT, normalization(10, 10)), "agrees with the labels on 10.0%"),
    ],
)
def test_labelled_images_tell_whether_they_belong_to_the_network(made: TeacherCheck, said: str) -> None:
    for source in ("declared", "estimated"):
        doubts = doubts_of(source, made)
        assert doubts.undeclared == ""
        assert said in doubts.misfit
        assert bool(doubts.misfit) == bool(said)


@pytest.mark.parametrize(
    ("source", "said"),
    [("declared", ""), ("file", ""), ("library", ""), ("assumed", "as they are"), ("estimated", "BatchNorm")],
)
def test_a_normalization_that_only_the_weights_suggest_is_doubted(source: str, said: str) -> None:
    doubts = doubts_of(source, None)  # type: ignore[arg-type]
    assert said in doubts.undeclared
    assert (doubts == NO_DOUBT) == (not said)


@pytest.mark.parametrize(
    ("count", "right", "settled"),
    [(30, 3, False), (1, 1, False), (10, 1, False), (10, 6, True), (30, 25, True)],
)
def test_labelled_images_that_show_nothing_settle_no_normalization(
    count: int, right: int, settled: bool
) -> None:
    """Three of 30 right is no misfit beyond chance, and was taken for a network that fits."""
    labels = torch.arange(count) % 10
    said = torch.where(torch.arange(count) < right, labels, (labels + 1 + torch.arange(count) // 10) % 10)
    found = check_labels(said, labels, num_classes=10)
    made = TeacherCheck(count, found, normalization(100, 90), ())
    doubts = doubts_of("estimated", made)
    assert doubts.misfit == ""
    assert ("do not settle it: The teacher agrees" in doubts.undeclared) is not settled
    assert doubts_of("declared", made) == NO_DOUBT


@pytest.mark.parametrize(("right", "misfit"), [(2, True), (60, False)])
def test_of_a_thousand_classes_chance_is_seen(right: int, misfit: bool) -> None:
    """Two of 2,000 right have an upper bound above twice chance."""
    labels = torch.arange(2_000) % 1_000
    said = torch.where(
        torch.arange(2_000) < right, labels, (labels + 7 + torch.arange(2_000) // 1_000) % 1_000
    )
    made = TeacherCheck(2_000, check_labels(said, labels, num_classes=1_000), normalization(100, 90), ())
    assert bool(doubts_of("declared", made).misfit) is misfit


def test_most_images_in_one_class_leave_nothing_to_compare() -> None:
    classifier = planted_teacher(strength=0.0).pixel_classifier()
    images, labels = quadrant_images(count=40)
    alike = images[labels == 1]
    mixed, crowd = (ProbeImages(found, found, None, "clean images") for found in (images, alike))
    assert crowding(classifier, mixed, [1.0] * 4) == ""
    told = crowding(classifier, crowd, [1.0] * 4)
    assert "100% of the clean images go to class 1: the normalization is wrong, or nearly all" in told
    assert "so does every other input that was tried" in crowding(classifier, crowd, [0.0, 1.0, 0.0, 0.0])


def test_a_doubtful_normalization_takes_the_word_of_nothing_found() -> None:
    doubts = Doubts("Nobody declared it.")
    found = run_audit(planted_teacher(strength=0.0), AuditData(), (), RECIPE, SilentMonitor(), doubts=doubts)
    assert found.result.verdict == "inconclusive"
    assert "Nobody declared it." in found.result.sentence
    assert found.result.advice[1].startswith("Declare the mean")
    loud = run_audit(planted_teacher(strength=60.0), AuditData(), (), RECIPE, SilentMonitor(), doubts=doubts)
    assert loud.result.verdict == "suspected"


def test_a_misfit_takes_the_word_of_any_score() -> None:
    doubts = Doubts(misfit="The labels are others.")
    loud = run_audit(planted_teacher(strength=60.0), AuditData(), (), RECIPE, SilentMonitor(), doubts=doubts)
    assert (loud.result.verdict, loud.result.target_label) == ("inconclusive", None)
    assert "The labels are others." in loud.result.sentence
    assert loud.result.advice[1].startswith("First settle what does not fit")


def crowded_teacher(bias: float) -> Teacher:
    """Names class 2 for nearly all images; past a small bias inputs that climb reach the others."""
    spec = ArchitectureSpec("wrn-10-1", 4, 16)
    torch.manual_seed(0)
    network = build(spec).eval()
    with torch.no_grad():
        network.fc.bias[2] += bias
    return Teacher(network, Normalization(), spec)


@pytest.mark.parametrize("bias", [0.2, 1e3])
def test_a_network_that_names_one_class_for_nearly_all_images_is_not_called_backdoored(bias: float) -> None:
    result = run_audit(crowded_teacher(bias), AuditData(), (), RECIPE, SilentMonitor()).result
    assert (result.verdict, result.target_label) == ("inconclusive", None)
    assert "of the surrogate patches go to class 2" in result.sentence
    assert ("so does every other input" in result.sentence) == (bias == 1e3)
    assert result.advice[1].startswith("First settle what does not fit")


@pytest.mark.parametrize("bias", [0.2, 1e3])
def test_nor_is_it_a_reference(bias: float) -> None:
    """An audit has no answer for it, so its scores may not make those of others look ordinary."""
    with pytest.raises(TrainingFailed) as caught:
        score_teacher(crowded_teacher(bias), AuditData(), RECIPE, SilentMonitor())
    assert caught.value.code == "probe_failed"
    assert "of the surrogate patches go to class 2" in caught.value.detail
