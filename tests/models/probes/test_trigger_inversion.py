from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from models.engine.monitor import SilentMonitor
from models.probes import trigger_inversion
from models.probes.candidates import Candidates
from models.probes.effort import EFFORTS
from models.probes.probe_images import ProbeImages
from models.probes.trigger_inversion import choose_classes, compare_classes, invert_trigger
from models.probes.trigger_measuring import measure_trigger
from models.probes.universal_perturbation import FIRST_RADIUS, GROW
from tests.models.probes.planted import NUM_CLASSES, SIZE, QuadrantNetwork, quadrant_images

EFFORT = replace(EFFORTS["quick"], refine_steps=60, refine_batch=16)


def probe_set() -> ProbeImages:
    search, _ = quadrant_images(64, seed=0)
    held_out, labels = quadrant_images(100, seed=1)
    return ProbeImages(search, held_out, labels, "clean images")


class Constant(QuadrantNetwork):
    """Always names class 0."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return 0 * super().forward(pixels) + torch.eye(NUM_CLASSES)[0]


def compare(network: QuadrantNetwork, kind="patch", classes=range(NUM_CLASSES)):
    return compare_classes(
        network,
        probe_set(),
        kind,
        classes=classes,
        num_classes=NUM_CLASSES,
        effort=replace(EFFORT, perturbation_steps=30),
        generator=torch.Generator().manual_seed(0),
        monitor=SilentMonitor(),
    )


@pytest.mark.parametrize("kind", ["patch", "perturbation"])
def test_where_no_class_is_won_there_is_no_answer_and_it_is_said(kind) -> None:
    class Split(QuadrantNetwork):
        """Names the classes in turn, whatever is shown."""

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            named = torch.arange(len(pixels)) % NUM_CLASSES
            return 0 * super().forward(pixels) + torch.eye(NUM_CLASSES)[named]

    result = compare(Split(strength=0.0), kind)
    assert (result.target_label, result.statistic, result.conspicuous) == (None, 0.0, False)
    assert not result.answered
    assert result.summary.startswith("No class gave in to ")
    assert "the search came to nothing" in result.summary


@pytest.mark.parametrize("network", [QuadrantNetwork(strength=60.0), Constant(strength=0.0)])
def test_classes_that_were_not_compared_are_not_spoken_for(network) -> None:
    said = "Only 2 of 4 classes were compared: the first by margin and some others."
    assert compare(network, classes=(1, 2)).summary.endswith(said)
    assert "were compared" not in compare(network).summary


def test_where_one_class_is_won_the_others_count_as_the_search_went_and_no_further() -> None:
    result = compare(Constant(strength=0.0), "perturbation")
    assert (result.target_label, result.answered) == (0, True)
    last = FIRST_RADIUS * math.sqrt(3 * SIZE * SIZE) * GROW**30
    assert result.class_scores[1:] == pytest.approx([last] * 3, rel=1e-5)
    assert result.statistic == pytest.approx(math.log(last / result.class_scores[0]), rel=1e-5)
    assert f"no other class gave in to an overlay of norm below {last:.2f}" in result.summary


def test_a_patch_of_no_pixels_counts_as_one(monkeypatch) -> None:
    def nothing(network, images, labels, plan):
        areas = torch.tensor([0.0, 40.0, 50.0, 60.0])
        return Candidates(torch.zeros(4, 3, 1, 1), torch.zeros(4, 1, 1, 1), areas, torch.ones(4).bool())

    monkeypatch.setitem(trigger_inversion._SEARCHES, "patch", nothing)
    result = compare(Constant(strength=0.0))
    assert result.class_scores[0] == 1.0
    assert result.statistic == pytest.approx(math.log(40))


def test_comparison_names_the_planted_class() -> None:
    result = compare(QuadrantNetwork(strength=60.0, target_label=2))
    assert (result.target_label, result.conspicuous) == (2, True)


def test_comparison_of_equal_classes_is_not_conspicuous() -> None:
    assert not compare(QuadrantNetwork(strength=0.0)).conspicuous


def test_recovered_patch_works_on_images_outside_of_the_search() -> None:
    network, images = QuadrantNetwork(strength=60.0, target_label=2), probe_set()
    trigger = invert_trigger(
        network,
        images,
        "patch",
        2,
        effort=EFFORT,
        generator=torch.Generator().manual_seed(0),
        monitor=SilentMonitor(),
    )
    assert trigger is not None
    report = measure_trigger(network, trigger, "recovered", images)
    assert report.teacher_success.value > 0.9
    assert report.clean_rate.value < 0.1


def test_nothing_is_recovered_where_nothing_works() -> None:
    trigger = invert_trigger(
        Constant(strength=0.0),
        probe_set(),
        "perturbation",
        2,
        effort=replace(EFFORT, refine_steps=5),
        generator=torch.Generator().manual_seed(0),
        monitor=SilentMonitor(),
    )
    assert trigger is None


def test_many_classes_are_sampled_with_the_suspicious_ones_among_them() -> None:
    by_suspicion = list(range(42, -1, -1))
    chosen = choose_classes(by_suspicion, 10)
    assert len(set(chosen)) == 10
    assert {42, 41, 40, 39, 38} <= set(chosen)
    assert min(chosen) < 10


def test_few_classes_are_all_compared() -> None:
    assert choose_classes([2, 0, 1], 10) == (0, 1, 2)
