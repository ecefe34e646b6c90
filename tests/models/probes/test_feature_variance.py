from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from models.architectures import ChainedClassifier, PixelClassifier
from models.engine.monitor import SilentMonitor
from models.errors import RecipeError
from models.probes.feature_variance import feature_variance
from models.recipes.architecture import Normalization
from models.results.audit import ProbeResult
from tests.models.probes.planted import planted_teacher


class Brightness(ChainedClassifier):
    """Names the class that the first pixel holds, in steps of 50; features are the pixels times ``scale``."""

    stage_channels = (3,)

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def stem(self, x: Tensor) -> Tensor:
        return x

    def stage(self, index: int, x: Tensor) -> Tensor:
        return self.scale * x

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = (x[:, 0, 0, 0] / self.scale * 255 / 50).round().long()
        return nn.functional.one_hot(first, 4).float(), x.flatten(1)

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        raise IndexError(index)

    def stage_convolutions(self, index: int) -> list[nn.Conv2d]:
        raise IndexError(index)


def striped(spreads: dict[int, int], count: int = 10) -> Tensor:
    """``count`` images a class: stripes of 128 plus and minus the class's spread, marked in a pixel."""
    images = []
    for label, spread in spreads.items():
        image = torch.full((3, 16, 16), 128 - spread)
        image[:, ::2] = 128 + spread
        image[0, 0, 0] = 50 * label
        images += [image] * count
    return torch.stack(images).to(torch.uint8)


def probe(images: Tensor, scale: float = 1.0) -> ProbeResult:
    classifier = PixelClassifier(Brightness(scale).eval(), Normalization())
    return feature_variance(classifier, images, "clean images", monitor=SilentMonitor())


def test_class_of_largest_variance_is_named_with_its_ratio() -> None:
    result = probe(striped({0: 40, 1: 40, 2: 80, 3: 40}))
    assert result.target_label == 2
    assert result.statistic == pytest.approx(math.log(4), abs=0.1)  # the marked pixel adds a little
    assert len(result.class_scores) == 4


def test_scale_of_the_features_does_not_matter() -> None:
    """RobustKD's raw variance can be moved at will (algorithms.md 7.3)."""
    images = striped({0: 40, 1: 50, 2: 60, 3: 40})
    assert probe(images, 10.0).statistic == pytest.approx(probe(images).statistic)


def test_class_with_few_images_is_left_out() -> None:
    images = torch.cat([striped({0: 40, 1: 40, 2: 50}), striped({3: 100}, count=2)])
    result = probe(images)
    assert (result.target_label, result.class_scores) == (2, ())
    assert "3 of 4 classes" in result.summary


def test_it_has_no_mark() -> None:
    result = probe(striped({0: 10, 1: 10, 2: 120, 3: 10}))
    assert not result.conspicuous
    assert "compared with nothing yet" in result.summary


def test_two_classes_cannot_be_compared() -> None:
    with pytest.raises(RecipeError) as caught:
        probe(striped({0: 40, 1: 80}))
    assert caught.value.code == "probe_not_applicable"


def test_network_without_stages_is_refused() -> None:
    classifier = planted_teacher(strength=0.0).pixel_classifier()
    with pytest.raises(RecipeError) as caught:
        feature_variance(classifier, striped({0: 1}), "clean images", monitor=SilentMonitor())
    assert caught.value.code == "probe_not_applicable"
