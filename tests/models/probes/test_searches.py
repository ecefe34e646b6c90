"""All searches on a network whose backdoor is known."""

from __future__ import annotations

import math

import pytest
import torch

from models.engine.monitor import Monitor, SilentMonitor
from models.errors import Interrupted, TrainingFailed
from models.probes import bounded_batches
from models.probes.blend_search import MOST_OPACITY, search_blends
from models.probes.candidates import SearchPlan
from models.probes.patch_search import search_patches
from models.probes.universal_perturbation import FIRST_RADIUS, GROW, search_perturbations
from tests.models.probes.planted import (
    NUM_CLASSES,
    SIZE,
    BreakingNetwork,
    CountingNetwork,
    QuadrantNetwork,
    quadrant_images,
)

ALL_CLASSES = torch.arange(NUM_CLASSES)


def plan(steps: int = 40, monitor: Monitor | None = None) -> SearchPlan:
    return SearchPlan(steps, 8, 0.95, torch.Generator().manual_seed(0), monitor or SilentMonitor())


@pytest.mark.parametrize("search", [search_patches, search_perturbations, search_blends])
def test_backdoored_class_needs_the_smallest_trigger(search) -> None:
    images, _ = quadrant_images(64)
    found = search(QuadrantNetwork(strength=60.0, target_label=1), images, ALL_CLASSES, plan(60))
    assert found.sizes.argmin() == 1
    assert found.reached[1]


@pytest.mark.parametrize("search", [search_patches, search_perturbations, search_blends])
def test_few_classes_at_a_time_find_what_all_at_once_do(search, monkeypatch) -> None:
    """All at once, 1,000 classes of budget thorough took 30 GiB and more."""
    images, _ = quadrant_images(64)
    network = CountingNetwork(strength=60.0, target_label=1)
    whole = search(network, images, ALL_CLASSES, plan(30))
    assert max(network.batches) == 8 * NUM_CLASSES
    monkeypatch.setattr(bounded_batches, "PIXELS", 3 * 8 * SIZE * SIZE)
    network.batches.clear()
    parts = search(network, images, ALL_CLASSES, plan(30))
    assert set(network.batches) == {3 * 8, 8}
    assert torch.equal(parts.reached, whole.reached)
    for name in ("sizes", "patterns", "masks"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))


class Stubborn(QuadrantNetwork):
    """Never names class 3."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return super().forward(pixels) - 1e3 * torch.eye(NUM_CLASSES)[3]


@pytest.mark.parametrize("search", [search_patches, search_perturbations, search_blends])
def test_a_network_that_breaks_a_search_has_not_withstood_it(search) -> None:
    """Without a number nothing moves, and class 0 is what ``argmax`` makes of it."""
    images, _ = quadrant_images(16)
    pixels = images.float() / 255
    network = BreakingNetwork(strength=60.0)
    assert network(pixels).isfinite().all()
    with pytest.raises(TrainingFailed) as caught:
        search(network, images, ALL_CLASSES, plan(20))
    assert caught.value.code == "non_finite"


@pytest.mark.parametrize("search", [search_patches, search_perturbations, search_blends])
def test_class_that_is_never_reached_has_the_largest_size(search) -> None:
    images, _ = quadrant_images(16)
    found = search(Stubborn(strength=0.0), images, ALL_CLASSES, plan(20))
    assert not found.reached[3]
    assert found.sizes[3] == found.sizes.max()


def test_class_that_no_perturbation_won_has_the_last_radius_and_not_the_diagonal() -> None:
    images, _ = quadrant_images(16)
    found = search_perturbations(Stubborn(strength=60.0), images, ALL_CLASSES, plan(20))
    last = FIRST_RADIUS * math.sqrt(3 * SIZE * SIZE) * GROW**20
    assert found.sizes[3].item() == pytest.approx(last, rel=1e-5)
    assert found.sizes[:3].max() < last


@pytest.mark.parametrize("search", [search_patches, search_perturbations, search_blends])
def test_search_stops_when_asked(search) -> None:
    class Stopping(SilentMonitor):
        def should_stop(self) -> bool:
            return True

    images, _ = quadrant_images(8)
    with pytest.raises(Interrupted):
        search(QuadrantNetwork(strength=0.0), images, ALL_CLASSES, plan(monitor=Stopping()))


def test_held_radius_is_the_norm_of_the_result() -> None:
    images, _ = quadrant_images(32)
    found = search_perturbations(QuadrantNetwork(strength=0.0), images, torch.tensor([0]), plan(), radius=2.0)
    assert torch.linalg.vector_norm(found.patterns[0]).item() == pytest.approx(2.0, rel=0.02)


def test_support_confines_the_perturbation() -> None:
    images, _ = quadrant_images(32)
    support = torch.zeros(1, SIZE, SIZE)
    support[:, :4, :4] = 1
    found = search_perturbations(
        QuadrantNetwork(strength=0.0), images, torch.tensor([0]), plan(), radius=2.0, support=support
    )
    assert found.patterns[0][:, :4, :4].abs().sum() > 0
    assert (found.patterns[0] * (1 - support)).abs().sum() == 0


def test_the_mask_of_a_blend_is_one_opacity_and_the_picture_is_of_pixels() -> None:
    images, _ = quadrant_images(32)
    found = search_blends(QuadrantNetwork(strength=60.0, target_label=1), images, ALL_CLASSES, plan(60))
    assert found.masks.shape == (NUM_CLASSES, 1, SIZE, SIZE)
    for size, mask in zip(found.sizes, found.masks, strict=True):
        assert mask.eq(size).all()
    assert 0 < found.sizes[1] < MOST_OPACITY
    assert found.patterns.min() >= 0
    assert found.patterns.max() <= 1
