import pytest
import torch

from models.architectures import PixelClassifier, build
from models.distillation.robustkd.feature_mask import FeatureMask
from models.distillation.robustkd.threshold_search import Candidate, acceptable, choose, describe, measure
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.robustkd import RobustKDRecipe
from models.triggers import make_trigger

RECIPE = RobustKDRecipe(max_accuracy_drop=0.03, max_trigger_success=0.1)


def candidate(threshold: float, drop: float, success: float | None = None) -> Candidate:
    return Candidate(threshold, drop, success, variance_ratio=0.5)


@pytest.mark.parametrize(
    ("drop", "success", "expected"),
    [(0.0, None, True), (0.04, None, False), (0.0, 0.05, True), (0.0, 0.5, False), (-0.01, 0.1, True)],
)
def test_search_stops_only_when_both_limits_hold(drop: float, success: float | None, expected: bool) -> None:
    assert acceptable(candidate(0.2, drop, success), RECIPE) is expected


def test_among_those_that_keep_accuracy_the_least_trigger_success_wins() -> None:
    tried = [candidate(0.6, 0.2, 0.0), candidate(0.4, 0.02, 0.3), candidate(0.2, 0.01, 0.2)]
    assert choose(tried, RECIPE).threshold == 0.2


def test_ties_go_to_the_preferred_threshold() -> None:
    assert choose([candidate(0.4, 0.02), candidate(0.2, 0.0)], RECIPE).threshold == 0.4


def test_without_an_acceptable_one_the_least_accuracy_is_lost() -> None:
    tried = [candidate(0.4, 0.3, 0.0), candidate(0.2, 0.1, 0.9)]
    assert choose(tried, RECIPE).threshold == 0.2


def test_decision_says_that_no_recovered_trigger_was_there() -> None:
    tried = [candidate(0.4, 0.01)]
    decision = describe(tried[0], tried, RECIPE)
    assert "no recovered trigger" in decision.text
    assert "threshold_0.4_trigger_success" not in decision.values


def test_decision_admits_lost_accuracy() -> None:
    tried = [candidate(0.4, 0.25, 0.0)]
    assert "more than the 3.0 allowed" in describe(tried[0], tried, RECIPE).text


def test_an_empty_edit_measures_as_the_teacher_itself() -> None:
    torch.manual_seed(0)
    teacher = PixelClassifier(build(ArchitectureSpec("wrn-10-1", 4, 8)), Normalization()).eval()
    mask = FeatureMask(
        [torch.zeros(16, 8, 8), torch.zeros(32, 4, 4), torch.zeros(64, 2, 2)], threshold=0.5, mode="add"
    )
    images = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8)
    measured = measure(teacher, mask, images, torch.arange(20) % 4, [])
    assert measured == Candidate(0.5, 0.0, None, pytest.approx(1.0))


def test_worst_recovered_trigger_counts() -> None:
    torch.manual_seed(0)
    network = build(ArchitectureSpec("wrn-10-1", 4, 16))
    with torch.no_grad():
        network.fc.bias.copy_(torch.tensor([100.0, 0.0, 0.0, 0.0]))  # type: ignore[union-attr]
    teacher = PixelClassifier(network, Normalization()).eval()
    mask = FeatureMask(
        [torch.zeros(16, 16, 16), torch.zeros(32, 8, 8), torch.zeros(64, 4, 4)], threshold=0.5, mode="add"
    )
    images = torch.randint(0, 256, (12, 3, 16, 16), dtype=torch.uint8)
    triggers = [make_trigger("badnets_square", 16, target) for target in (1, 0)]
    assert measure(teacher, mask, images, torch.arange(12) % 4, triggers).trigger_success == 1.0
