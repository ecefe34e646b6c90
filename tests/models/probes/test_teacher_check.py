"""A teacher behind the wrong normalization must be noticed (algorithms.md 8, items 1 to 4)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from models.architectures import PixelClassifier, build
from models.checkpoints.load import Teacher
from models.checkpoints.normalization_fit import COMMON, IDENTITY
from models.data.bundle import AuditData
from models.data.digits import load_digits
from models.probes.teacher_check import check_teacher, settle
from models.recipes.architecture import ArchitectureSpec, Normalization

SPEC = ArchitectureSpec("wrn-10-1", 10, 16)
SHIFTED = COMMON["pixels in [0, 255]"]
IMAGENET = COMMON["ImageNet's statistics"]


@pytest.fixture(scope="module")
def data() -> AuditData:
    split = load_digits(16, seed=0)
    return AuditData(images=split.test_images, labels=split.test_labels, classes=tuple("0123456789"))


@pytest.fixture(scope="module")
def trained() -> Teacher:
    """A small network trained on digits through ImageNet's statistics."""
    split = load_digits(16, seed=0)
    torch.manual_seed(0)
    network = build(SPEC)
    classifier = PixelClassifier(network, IMAGENET).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    pixels = split.train_images.float() / 255
    for step in range(100):
        rows = torch.randint(len(pixels), (64,), generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        cross_entropy(classifier(pixels[rows]), split.train_labels[rows]).backward()
        optimizer.step()
    return Teacher(network.eval(), IMAGENET, SPEC)


def test_the_right_normalization_raises_no_doubt(trained: Teacher, data: AuditData) -> None:
    check = check_teacher(trained, data, "declared", seed=0)
    assert check is not None
    assert check.warnings == ()
    assert check.normalization.better is None
    assert check.normalization.used == IMAGENET
    assert check.normalization.trials[0].accuracy.value > 0.9
    assert check.images == 360


@pytest.mark.parametrize("source", ["assumed", "estimated", "file", "library"])
def test_one_that_was_not_declared_is_replaced(source, trained: Teacher, data: AuditData) -> None:
    wrong = replace(trained, normalization=SHIFTED)
    check = check_teacher(wrong, data, source, seed=0)
    assert check is not None
    assert check.normalization.replaced
    assert check.normalization.trials[0].accuracy.value < check.labels.agreement.value
    assert check.labels.agreement.value > 0.9
    assert "all its stages" in check.warnings[0]
    assert settle(wrong, check).normalization == check.normalization.used
    assert check_teacher(settle(wrong, check), data, source, seed=0).normalization.better is None  # type: ignore[union-attr]


def test_a_declared_one_is_kept_and_warned_about(trained: Teacher, data: AuditData) -> None:
    wrong = replace(trained, normalization=SHIFTED)
    check = check_teacher(wrong, data, "declared", seed=0)
    assert check is not None
    assert check.normalization.better is not None
    assert settle(wrong, check).normalization == SHIFTED
    assert len(check.warnings) == 1
    assert "check mean and std" in check.warnings[0]


def test_both_mistakes_at_once_are_told_apart(trained: Teacher, data: AuditData) -> None:
    """Labels in another order would make every normalization equally wrong."""
    assert data.labels is not None
    moved = replace(data, labels=(data.labels + 3) % 10)
    check = check_teacher(replace(trained, normalization=SHIFTED), moved, "assumed", seed=0)
    assert check is not None
    assert check.normalization.replaced
    assert check.labels.consistent
    assert len(check.labels.exchanged) == 10
    assert len(check.warnings) == 2


@pytest.mark.parametrize(
    "given", [AuditData(), AuditData(images=torch.zeros(4, 3, 16, 16, dtype=torch.uint8))]
)
def test_without_labels_there_is_nothing_to_check(given: AuditData, trained: Teacher) -> None:
    check = check_teacher(trained, given, "assumed", seed=0)
    assert check is None
    assert settle(trained, check) is trained


def test_a_custom_normalization_is_tried_beside_the_known_ones(trained: Teacher, data: AuditData) -> None:
    own = Normalization((0.48, 0.45, 0.41), (0.23, 0.22, 0.22))
    check = check_teacher(replace(trained, normalization=own), data, "declared", seed=0)
    assert check is not None
    assert check.normalization.better is None
    normalizations = [trial.normalization for trial in check.normalization.trials]
    assert normalizations[0] == own
    assert IDENTITY in normalizations[1:]
