import itertools
from dataclasses import replace

import pytest
import torch

from models.architectures import PixelClassifier, build
from models.distillation.robustkd.feature_mask import FeatureMask
from models.distillation.robustkd.threshold_search import (
    Candidate,
    acceptable,
    choose,
    clean_accuracy,
    measure,
    measure_canaries,
    measure_planting,
)
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


@pytest.mark.parametrize(
    ("trigger", "canary", "expected"),
    [(None, 0.5, False), (None, 0.1, True), (0.0, 0.5, False), (0.5, 0.0, False), (0.1, 0.1, True)],
)
def test_canary_that_still_works_keeps_the_search_going(
    trigger: float | None, canary: float, expected: bool
) -> None:
    tried = replace(candidate(0.2, 0.0, trigger), canaries={"canary_patch": 0.0, "canary_blend": canary})
    assert acceptable(tried, RECIPE) is expected


def test_worse_of_trigger_and_canary_decides() -> None:
    tried = [
        replace(candidate(0.6, 0.0, 0.1), canaries={"canary_patch": 0.6}),
        replace(candidate(0.4, 0.0, 0.4), canaries={"canary_patch": 0.2}),
        replace(candidate(0.2, 0.0, 0.5), canaries={"canary_patch": 0.0}),
    ]
    assert choose(tried, RECIPE).threshold == 0.4


def test_disagreement_needs_both() -> None:
    only_canary = replace(candidate(0.4, 0.0), canaries={"canary_patch": 0.3})
    both = replace(only_canary, trigger_success=0.9)
    assert only_canary.disagreement is None
    assert both.disagreement == pytest.approx(0.6)


def test_an_empty_edit_measures_as_the_teacher_itself() -> None:
    torch.manual_seed(0)
    teacher = PixelClassifier(build(ArchitectureSpec("wrn-10-1", 4, 8)), Normalization()).eval()
    mask = FeatureMask(
        [torch.zeros(16, 8, 8), torch.zeros(32, 4, 4), torch.zeros(64, 2, 2)], threshold=0.5, mode="add"
    )
    images = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8)
    labels = torch.arange(20) % 4
    measured = measure(teacher, mask, images, labels, [], before=clean_accuracy(teacher, images, labels))
    assert measured == Candidate(0.5, 0.0, None, pytest.approx(1.0))


def test_the_variance_is_that_of_all_classes() -> None:
    """Trap 49: images are sorted by class, and the first hundred were looked at alone."""
    torch.manual_seed(0)
    teacher = PixelClassifier(build(ArchitectureSpec("wrn-10-1", 2, 8)), Normalization()).eval()
    mask = FeatureMask(
        [torch.rand(16, 8, 8), torch.rand(32, 4, 4), torch.rand(64, 2, 2)], threshold=0.5, mode="blend"
    )
    dark, noisy = torch.zeros(100, 3, 8, 8).byte(), torch.randint(0, 256, (200, 3, 8, 8)).byte()
    labels = (torch.arange(300) >= 100).long()
    kinds = (torch.cat([dark, dark, dark]), torch.cat([dark, noisy]))
    ratios = [measure(teacher, mask, images, labels, [], before=0.5).variance_ratio for images in kinds]
    assert ratios[0] != pytest.approx(ratios[1])


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
    measured = measure(teacher, mask, images, torch.arange(12) % 4, triggers, before=0.75)
    assert measured.trigger_success == 1.0
    assert measured.accuracy_drop == 0.5  # it says 0 to everything, and a quarter is


def test_canaries_are_measured_on_the_copy_with_its_own_mask() -> None:
    torch.manual_seed(0)
    network = build(ArchitectureSpec("wrn-10-1", 4, 16))
    with torch.no_grad():
        network.fc.bias.copy_(torch.tensor([100.0, 0.0, 0.0, 0.0]))  # type: ignore[union-attr]
    copy = PixelClassifier(network, Normalization()).eval()
    zeros = [torch.zeros(16, 16, 16), torch.zeros(32, 8, 8), torch.zeros(64, 4, 4)]
    mask = FeatureMask(zeros, threshold=1.0, mode="add")
    images, labels = torch.randint(0, 256, (12, 3, 16, 16), dtype=torch.uint8), torch.arange(12) % 4
    canaries = [make_trigger("badnets_square", 16, 0), make_trigger("haze", 16, 1)]
    # Trap 11: a collapsed copy sends everything to class 0, which is no sign of a planted canary.
    assert measure_planting(copy, images, labels, canaries) == {"badnets_square": 0.0, "haze": 0.0}
    success, drop = measure_canaries(copy, mask, images, labels, canaries, before=0.25)
    assert (success, drop) == ({"badnets_square": 1.0, "haze": 0.0}, 0.0)
    with torch.no_grad():
        network.fc.weight.zero_()  # type: ignore[union-attr]
        network.fc.weight[1] = 1e3  # type: ignore[union-attr, index]
        mask.replacements[2].fill_(1e3)  # so that the edited copy says 1, and the copy alone may not
    success, drop = measure_canaries(copy, mask, images, labels, canaries, before=0.75)
    assert (success, drop) == ({"badnets_square": 0.0, "haze": 1.0}, 0.5)


def test_teachers_are_measured_in_the_format_the_student_learns_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared with each other and shown to the student in bfloat16, they are measured in it."""
    seen: list[torch.dtype] = []
    torch.manual_seed(0)
    network = build(ArchitectureSpec("wrn-10-1", 4, 8))
    network.register_forward_hook(lambda module, given, logits: seen.append(logits.dtype))
    teacher = PixelClassifier(network, Normalization()).eval()
    images, labels = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8), torch.arange(8) % 4
    for pays in (False, True):
        monkeypatch.setattr(
            "models.distillation.robustkd.threshold_search.bfloat16_pays", lambda device, pays=pays: pays
        )
        clean_accuracy(teacher, images, labels)
    assert seen == [torch.float32, torch.bfloat16]


def test_triggers_and_canaries_can_only_move_the_choice_down_the_list() -> None:
    """What docs/methods.md says of them: accuracy alone takes the first that keeps it."""
    thresholds = RobustKDRecipe().thresholds
    recipe = RobustKDRecipe()

    def chosen(found: list[Candidate]) -> int:
        end = next((n for n, one in enumerate(found, 1) if acceptable(one, recipe)), len(found))
        return thresholds.index(choose(found[:end], recipe).threshold)

    moved = set()
    for drops in itertools.product((0.0, 0.1), repeat=len(thresholds)):
        for rates in itertools.product((0.05, 0.5, 0.9), repeat=len(thresholds)):
            told = [candidate(*three) for three in zip(thresholds, drops, rates, strict=True)]
            alone = chosen([replace(one, trigger_success=None) for one in told])
            moved.add(chosen(told) - alone)
    assert min(moved) == 0 < max(moved)
