from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from models.probes.undistillable.output_statistics import (
    affinity,
    feature_consistency,
    frequent_classes,
    paper_temperature,
    peak_statistics,
)
from models.probes.undistillable.outputs import TeacherOutputs, spearman

CLASSES, EACH = 6, 4
NAMED = torch.arange(CLASSES).repeat_interleave(EACH)


def logits_of(*rows: list[float]) -> Tensor:
    """Logits whose softmax is the given rows."""
    return torch.tensor(rows, dtype=torch.float64).log()


def test_peaks_are_classes_at_least_half_as_probable_as_the_first() -> None:
    """One, two and three peaks; .24 is below half of .5."""
    found = peak_statistics(
        logits_of([0.5, 0.24, 0.14, 0.12], [0.5, 0.26, 0.14, 0.10], [0.4, 0.25, 0.25, 0.1]), 1.0
    )
    assert found.peaks == pytest.approx((1 + 2 + 3) / 3)
    assert found.second_to_first == pytest.approx((0.48 + 0.52 + 0.625) / 3)


def test_the_temperature_softens_before_anything_is_counted() -> None:
    """The fourth root of 10,000 to 1,296 is 10 to 6: a second peak."""
    logits = torch.tensor([[math.log(10_000), math.log(1_296)]])
    assert peak_statistics(logits, 1.0).peaks == 1
    assert peak_statistics(logits, 4.0).peaks == 2
    assert peak_statistics(logits, 4.0).second_to_first == pytest.approx(0.6)


def test_entropy_runs_from_certain_to_a_guess() -> None:
    assert peak_statistics(torch.zeros(2, 5), 4.0).entropy == pytest.approx(1.0)
    assert peak_statistics(torch.tensor([[1e4, 0.0, 0.0]]), 4.0).entropy == pytest.approx(0.0, abs=1e-12)


def test_the_papers_temperature_is_higher_for_a_hundred_classes() -> None:
    assert (paper_temperature(10), paper_temperature(100)) == (4.0, 20.0)


def test_ranks_agree_whatever_the_scale_and_ties_share_theirs() -> None:
    values = torch.tensor([3.0, 1.0, 2.0, 5.0])
    assert spearman(values, values.exp()) == pytest.approx(1.0)
    assert spearman(values, -values) == pytest.approx(-1.0)
    # Ranks (1.5, 1.5, 3) against (1, 2, 3).
    assert spearman(torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 2.0])) == pytest.approx(
        math.sqrt(3) / 2
    )
    assert spearman(torch.ones(4), values) == 0.0


def test_affinity_is_the_mean_answer_of_the_images_that_count_for_a_class() -> None:
    logits = logits_of([0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1])
    found = affinity(logits, torch.tensor([0, 0, 1]), torch.tensor([0, 1]), 1.0)
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.3], [0.1, 0.8]], dtype=torch.float64))


def test_rare_classes_do_not_count() -> None:
    assert frequent_classes(torch.tensor([0, 0, 0, 1, 1, 3, 3, 3]), 5).tolist() == [0, 3]


def on_a_ring(answer_distance: Tensor) -> TeacherOutputs:
    """Classes on an arc, one image direction each; answers fall with a distance of the classes.

    Args:
        answer_distance: (K, K), zero on the diagonal.
    """
    angles = torch.linspace(0, 1.2, CLASSES, dtype=torch.float64) ** 1.3
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    return TeacherOutputs(-answer_distance[NAMED].double(), features[NAMED])


def arc_distance() -> Tensor:
    angles = torch.linspace(0, 1.2, CLASSES, dtype=torch.float64) ** 1.3
    return (angles[:, None] - angles).abs()


def test_answers_that_follow_the_features_have_correlation_one() -> None:
    found = feature_consistency(on_a_ring(arc_distance()), 4.0)
    assert found is not None
    assert found.classes == CLASSES
    # Each row is divided by its own sum, so pairs of different rows may change places.
    assert found.rho > 0.9


def test_answers_against_the_features_have_a_negative_correlation() -> None:
    """The first class stays named: only the order of the others is turned around."""
    turned = (2 - arc_distance()) * (1 - torch.eye(CLASSES))
    found = feature_consistency(on_a_ring(turned), 4.0)
    assert found is not None
    assert found.rho < -0.9


def test_answers_that_ignore_the_features_have_little() -> None:
    generator = torch.Generator().manual_seed(0)
    random = (1 + torch.rand(CLASSES, CLASSES, generator=generator)) * (1 - torch.eye(CLASSES))
    found = feature_consistency(on_a_ring(random), 4.0)
    assert found is not None
    assert abs(found.rho) < 0.5


def test_three_classes_have_too_few_pairs_to_rank() -> None:
    outputs = on_a_ring(arc_distance())
    assert feature_consistency(outputs.part(slice(3 * EACH)), 4.0) is None
