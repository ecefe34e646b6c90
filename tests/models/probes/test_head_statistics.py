from __future__ import annotations

import pytest
import torch
from torch import nn

from models.architectures import PixelClassifier
from models.errors import RecipeError, TrainingFailed
from models.probes.head_statistics import head_statistics
from models.results.audit import ProbeResult
from tests.models.probes.planted import planted_teacher
from tests.models.probes.small_network import NUM_CLASSES, small_classifier


def last_layer(classifier: PixelClassifier) -> nn.Linear:
    return [module for module in classifier.modules() if isinstance(module, nn.Linear)][-1]


def probe(classifier: PixelClassifier) -> ProbeResult:
    return head_statistics(classifier, NUM_CLASSES, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("part", ["mean weight", "norm", "bias"])
def test_row_that_stands_out_is_named(part: str) -> None:
    classifier = small_classifier()
    layer = last_layer(classifier)
    if part == "bias":
        layer.bias[4] += 5.0
    elif part == "mean weight":
        layer.weight[4] += 1.0
    else:
        layer.weight[4] *= 20.0
        layer.weight[4] -= layer.weight[4].mean()
    result = probe(classifier)
    assert result.target_label == 4
    assert f"the {part} of class 4" in result.summary
    assert result.statistic == max(result.class_scores)


def test_vector_that_all_rows_share_changes_nothing() -> None:
    classifier = small_classifier()
    before = probe(classifier).class_scores
    last_layer(classifier).weight += torch.linspace(-3, 3, last_layer(classifier).in_features)
    assert probe(classifier).class_scores == pytest.approx(before, abs=1e-3)


def test_random_features_follow_the_favored_class() -> None:
    classifier = small_classifier()
    last_layer(classifier).weight[1] += 10.0
    assert "100% are named class 1" in probe(classifier).summary


def test_it_has_no_mark() -> None:
    classifier = small_classifier()
    last_layer(classifier).bias[0] = 1e3
    result = probe(classifier)
    assert not result.conspicuous
    assert "compared with nothing yet" in result.summary


def test_network_without_a_linear_end_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        head_statistics(planted_teacher(strength=0.0).pixel_classifier(), 4, generator=torch.Generator())
    assert caught.value.code == "probe_not_applicable"


def test_three_classes_are_too_few() -> None:
    with pytest.raises(RecipeError) as caught:
        head_statistics(small_classifier(), 3, generator=torch.Generator())
    assert caught.value.code == "probe_not_applicable"


def test_damaged_weights_are_refused() -> None:
    classifier = small_classifier()
    last_layer(classifier).weight[0, 0] = float("nan")
    with pytest.raises(TrainingFailed):
        probe(classifier)
