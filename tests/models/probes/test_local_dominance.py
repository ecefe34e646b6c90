from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted, RecipeError, TrainingFailed
from models.probes.local_dominance import ClassImages, local_dominance, one_image_per_class
from models.probes.probe_images import ProbeImages
from tests.models.probes.planted import NUM_CLASSES, QuadrantNetwork, quadrant_images


class Signs(nn.Module):
    """Names class 0 where the first pixel is at least ``limit``, else class 1."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit
        self.largest_batch = 0

    def forward(self, pixels: Tensor) -> Tensor:
        self.largest_batch = max(self.largest_batch, len(pixels))
        margin = pixels[:, 0, 0, 0] - self.limit
        return torch.stack([margin, -margin, torch.full_like(margin, -1e6)], dim=1)


def dominance(network: nn.Module, pixels: Tensor, noises: int, monitor=None):
    return local_dominance(
        network,
        ClassImages(pixels, "clean images"),
        3,
        noises=noises,
        generator=torch.Generator().manual_seed(0),
        monitor=monitor or SilentMonitor(),
    )


def test_share_is_that_of_the_normal_distribution() -> None:
    """A black image, noise of 1.1, a border at 1.1: P = 1 - Phi(1) = .159, the rest is the other's."""
    result = dominance(Signs(1.1), torch.zeros(2, 3, 4, 4, dtype=torch.uint8), 5_000)
    assert result.class_scores == pytest.approx((0.1587, 0.8413, 0.0), abs=0.015)
    assert (result.target_label, result.statistic) == (1, result.class_scores[1])


def test_share_is_the_mean_over_classes() -> None:
    pixels = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    pixels[1] = 255
    result = dominance(Signs(0.5), pixels, 5_000)
    assert result.class_scores == pytest.approx((0.5, 0.5, 0.0), abs=0.015)


def test_memory_is_bounded() -> None:
    network = Signs(0.0)
    dominance(network, torch.zeros(2, 3, 64, 64, dtype=torch.uint8), 100)
    assert network.largest_batch <= 250 * 32 * 32 // 64**2


def test_summary_says_what_the_bound_needs_and_that_nothing_was_compared() -> None:
    result = dominance(Signs(0.0), torch.zeros(2, 3, 4, 4, dtype=torch.uint8), 4)
    assert not result.conspicuous
    assert "compared with nothing yet" in result.summary
    assert "clean reference networks" in result.summary


def test_damaged_network_is_refused() -> None:
    with pytest.raises(TrainingFailed):
        dominance(Signs(float("nan")), torch.zeros(2, 3, 4, 4, dtype=torch.uint8), 4)


def test_stops_when_asked() -> None:
    class Stopping(SilentMonitor):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Interrupted):
        dominance(Signs(0.0), torch.zeros(2, 3, 4, 4, dtype=torch.uint8), 4, Stopping())


def choose(data: AuditData) -> ClassImages:
    patches, _ = quadrant_images(60, seed=5)
    images = ProbeImages(patches[:30], patches[30:], None, "surrogate patches")
    return one_image_per_class(
        QuadrantNetwork(strength=0.0),
        data,
        images,
        NUM_CLASSES,
        generator=torch.Generator().manual_seed(0),
    )


def test_labels_choose_the_image_of_each_class() -> None:
    pictures, _ = quadrant_images(8)
    chosen = choose(AuditData(images=pictures, labels=torch.tensor([3, 3, 1, 0, 2, 2, 2, 2])))
    assert torch.equal(chosen.images[0], pictures[3])
    assert torch.equal(chosen.images[1], pictures[2])
    assert chosen.source == "labelled clean images"


def test_without_labels_the_teacher_says_the_class() -> None:
    pictures, labels = quadrant_images(40)
    chosen = choose(AuditData(images=pictures))
    said = [int(labels[(pictures == image).flatten(1).all(1)][0]) for image in chosen.images]
    assert (said, chosen.source) == ([0, 1, 2, 3], "clean images")


def test_without_images_patches_stand_in() -> None:
    chosen = choose(AuditData())
    assert (len(chosen.images), chosen.source) == (4, "surrogate patches")


def test_one_class_is_not_enough() -> None:
    pictures, _ = quadrant_images(8)
    with pytest.raises(RecipeError) as caught:
        choose(AuditData(images=pictures, labels=torch.zeros(8, dtype=torch.int64)))
    assert caught.value.code == "probe_not_applicable"
