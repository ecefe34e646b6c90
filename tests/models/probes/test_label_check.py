"""Teachers that mean other classes by the same numbers."""

from __future__ import annotations

import pytest
import torch

from models.probes.label_check import check_labels, missing_classes, reorder

NAMES = ("airplane", "bird", "cat", "dog")


def predictions(labels: torch.Tensor, *, right: float = 0.9, seed: int = 0) -> torch.Tensor:
    """A teacher of four classes that is right on a share of the images, and guesses on the others."""
    generator = torch.Generator().manual_seed(seed)
    guesses = torch.randint(4, labels.shape, generator=generator)
    return torch.where(torch.rand(labels.shape, generator=generator) < right, labels, guesses)


LABELS = torch.arange(400) % 4


def test_an_honest_teacher_raises_no_doubt() -> None:
    check = check_labels(predictions(LABELS), LABELS, num_classes=4, names=NAMES)
    assert not check.doubtful
    assert check.exchanged == ()
    assert check.agreement.value > 0.85
    assert [found.name for found in check.classes] == list(NAMES)
    assert check.classes[0].agreement.n == 100


def test_two_exchanged_classes_are_named() -> None:
    order = torch.tensor([0, 1, 3, 2])
    check = check_labels(predictions(order[LABELS]), LABELS, num_classes=4, names=NAMES)
    assert check.doubtful
    assert check.consistent
    assert check.exchanged == ((2, 3), (3, 2))
    assert check.agreement_reordered is not None
    assert check.agreement_reordered.value > 0.85
    assert "cat (label 2) is its class 3, dog (label 3) is its class 2" in check.sentence
    assert "Rename the folders" in check.sentence


def test_numbers_sorted_as_text_are_recognized() -> None:
    """Folders 0, 1, 10, 11, 2, ... of a teacher that counts 0, 1, 2, ...: the usual mistake."""
    names = tuple(sorted(str(number) for number in range(12)))
    labels = torch.arange(360) % 12
    said = torch.tensor([int(name) for name in names])[labels]
    check = check_labels(said, labels, num_classes=12, names=names)
    assert check.consistent
    assert "sorted as text" in check.sentence
    assert "and 4 more" in check.sentence


@pytest.mark.parametrize("names", [("0", "1", "3", "4"), ("airplane", "bird", "dog", "frog")])
def test_a_class_without_a_folder_is_no_order_of_folders(names: tuple[str, ...]) -> None:
    """The advice was to name the folders 00, 01, 02, ..., or in another order, which changes nothing."""
    check = check_labels(torch.tensor([0, 1, 3, 4])[LABELS], LABELS, num_classes=5, names=names)
    assert check.consistent
    assert "none is of its class 2, so that all behind are counted too low" in check.sentence
    assert "name them" not in check.sentence
    assert "Rename" not in check.sentence


def test_a_class_taken_for_another_is_no_new_order() -> None:
    said = torch.where(LABELS == 2, 3, LABELS)
    check = check_labels(said, LABELS, num_classes=4, names=NAMES)
    assert check.exchanged == ((2, 3),)
    assert not check.consistent
    assert check.agreement_reordered is None


@pytest.mark.parametrize("labels", [torch.randint(4, (400,), generator=torch.Generator().manual_seed(1))])
def test_labels_that_mean_nothing_to_the_teacher(labels: torch.Tensor) -> None:
    check = check_labels(predictions(LABELS), labels, num_classes=4)
    assert check.doubtful
    assert check.exchanged == ()
    assert "not the classes it was trained on" in check.sentence


def test_more_labels_than_classes_are_said() -> None:
    check = check_labels(LABELS.clamp(max=2), LABELS, num_classes=3, names=NAMES)
    assert check.doubtful
    assert "labels up to 3, and the teacher has 3 classes" in check.sentence


def test_a_handful_of_images_is_not_judged() -> None:
    labels = torch.tensor([0] * 50 + [1] * 50 + [2] * 4)
    check = check_labels(torch.where(labels == 2, 0, labels), labels, num_classes=4)
    assert check.exchanged == ()


def test_reordering() -> None:
    assert reorder(torch.tensor([0, 1, 2]), {0: 2, 2: 0}).tolist() == [2, 1, 0]


def test_many_missing_classes_are_counted() -> None:
    labels = torch.tensor([0, 1] * 10)
    told = missing_classes(labels, check_labels(labels, labels, num_classes=1_000), 1_000)
    assert "998 of the teacher's 1000 classes (2, 3, 4, 5, 6, 7, 992 more)" in told
