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
from models.probes import teacher_check
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


def test_a_class_that_no_image_shows_is_said(trained: Teacher, data: AuditData) -> None:
    """Accuracy was then over fewer classes, and nothing told so."""
    assert data.images is not None
    assert data.labels is not None
    kept = data.labels != 9
    fewer = replace(data, images=data.images[kept], labels=data.labels[kept])
    check = check_teacher(trained, fewer, "declared", seed=0)
    assert check is not None
    (warning,) = check.warnings
    assert warning.startswith("No labelled image shows 1 of the teacher's 10 classes (9): no figure here")
    assert not check.labels.doubtful


def test_a_missing_folder_that_moves_the_labels_is_told_by_the_teachers_class(
    trained: Teacher, data: AuditData
) -> None:
    assert data.images is not None
    assert data.labels is not None
    kept = data.labels != 4
    labels = data.labels[kept]
    moved = replace(data, images=data.images[kept], labels=labels - (labels > 4).long())
    check = check_teacher(trained, moved, "declared", seed=0)
    assert check is not None
    assert check.labels.consistent
    assert "10 classes (4): no figure" in check.warnings[-1]


def test_classes_are_missed_among_all_images_and_not_only_those_compared(monkeypatch, trained, data) -> None:
    """Of 1,000 classes the 2,000 images that are compared miss some by chance."""
    monkeypatch.setattr(teacher_check, "MOST_IMAGES", 5)
    check = check_teacher(trained, data, "declared", seed=0)
    assert check is not None
    assert len(check.labels.classes) < 10
    assert not any("No labelled image" in line for line in check.warnings)
