from __future__ import annotations

import pytest
import torch

from models.architectures import PixelClassifier, build
from models.data.bundle import AuditData
from models.engine.frozen import frozen
from models.engine.monitor import SilentMonitor
from models.probes.probe_images import (
    FEWEST_CLEAN_IMAGES,
    MOST_CLEAN_IMAGES,
    count_compared,
    images_for,
    probe_images,
)
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe, Surrogates
from tests.models.probes.inversion import shorten
from tests.models.probes.planted import SIZE, quadrant_images


def numbered(count: int) -> AuditData:
    """Every image is filled with its own number, which is also its label."""
    labels = torch.arange(count)
    images = labels.to(torch.uint8).view(-1, 1, 1, 1).repeat(1, 3, SIZE, SIZE)
    return AuditData(images=images, labels=labels)


def test_search_never_sees_what_is_measured_on() -> None:
    images = probe_images(numbered(100), size=SIZE, patches=10, style="photo", seed=0)
    searched, measured = images.search[:, 0, 0, 0].tolist(), images.held_out[:, 0, 0, 0].tolist()
    assert not set(searched) & set(measured)
    assert images.source == "clean images"


def test_spare_images_are_all_that_nothing_is_measured_on() -> None:
    data = numbered(MOST_CLEAN_IMAGES + 30)
    images = probe_images(data, size=SIZE, patches=10, style="photo", seed=0)
    assert images.spare is not None
    assert images.labels is not None
    assert len(images.spare) == MOST_CLEAN_IMAGES // 2 + 30
    assert sorted([*images.spare.tolist(), *images.labels.tolist()]) == list(range(MOST_CLEAN_IMAGES + 30))


def test_labels_follow_their_images() -> None:
    images = probe_images(numbered(100), size=SIZE, patches=10, style="photo", seed=0)
    assert images.labels is not None
    assert images.labels.tolist() == images.held_out[:, 0, 0, 0].tolist()


def test_images_sorted_by_class_are_shuffled_trap_49() -> None:
    images = probe_images(numbered(100), size=SIZE, patches=10, style="photo", seed=0)
    assert images.labels is not None
    assert images.labels.min() < 50 <= images.labels.max()


@pytest.mark.parametrize(
    ("count", "labelled", "tier"), [(0, False, 0), (49, True, 0), (50, False, 1), (50, True, 2)]
)
def test_the_tier_is_that_of_the_images_searched_on(count: int, labelled: bool, tier: int) -> None:
    """Of 49 labelled images the audit said tier 2, and searched on patches."""
    given = numbered(count)
    data = given if labelled else AuditData(images=given.images)
    assert probe_images(data, size=SIZE, patches=20, style="photo", seed=0).tier == tier


@pytest.mark.parametrize(("count", "compared"), [(49, 10), (51, 25), (199, 99), (200, 100), (500, 100)])
def test_classes_are_compared_on_as_many_images_in_every_audit_that_has_them(
    count: int, compared: int
) -> None:
    data = AuditData(images=numbered(count).images)
    images = probe_images(data, size=SIZE, patches=20, style="photo", seed=0)
    assert len(images.compared) == compared == count_compared(data, patches=20, surrogates="patches")
    assert torch.equal(images.compared, images.search[:compared])


def test_too_few_clean_images_are_replaced_by_patches() -> None:
    few, _ = quadrant_images(FEWEST_CLEAN_IMAGES - 1)
    images = probe_images(AuditData(images=few), size=SIZE, patches=20, style="photo", seed=0)
    assert images.source == "surrogate patches"
    assert (len(images.search), len(images.held_out), images.labels) == (10, 10, None)
    assert images.spare is None


@pytest.mark.parametrize(
    ("surrogates", "count", "source", "tier"),
    [
        ("patches", 0, "surrogate patches", 0),
        ("inverted", 0, "inverted images", 0),
        ("inverted", FEWEST_CLEAN_IMAGES - 1, "inverted images", 0),
        ("inverted", FEWEST_CLEAN_IMAGES, "clean images", 1),
    ],
)
def test_what_stands_in_for_clean_images_does_so_only_where_there_are_too_few(
    surrogates: Surrogates, count: int, source: str, tier: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch, 1)
    spec = ArchitectureSpec("wrn-10-1", 4, SIZE)
    data = AuditData(images=numbered(count).images) if count else AuditData()
    recipe = Recipe(probe=ProbeRecipe(surrogates=surrogates))
    with frozen(PixelClassifier(build(spec), Normalization())) as classifier:
        images = images_for(classifier, spec, data, recipe, patches=20, monitor=SilentMonitor())
    assert (images.source, images.tier) == (source, tier)
    assert len(images.compared) == count_compared(data, patches=20, surrogates=surrogates)
    assert len(images.held_out) >= len(images.search)
