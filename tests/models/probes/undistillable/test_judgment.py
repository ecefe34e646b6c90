from __future__ import annotations

from dataclasses import replace

import pytest

from models.metrics import wilson
from models.probes.undistillable.judgment import NastyFindings, judge
from models.probes.undistillable.weigh_students import harms_students, teacher_explains
from models.results.undistillable import (
    FeatureConsistency,
    HeadRefit,
    LabelsOf,
    PairedStudents,
    PeakStatistics,
    StudentGain,
    UndistillableResult,
)

USUAL = NastyFindings(
    num_classes=10,
    image_source="clean images",
    images=400,
    peaks=(PeakStatistics(4.0, 1.0, 0.1, 0.2), PeakStatistics(20.0, 6.0, 0.7, 0.9)),
    consistency=FeatureConsistency(4.0, 0.9, 10),
    refit=HeadRefit(4.0, 0.01, 0.9, 1.0, 200),
)
UNUSUAL = replace(
    USUAL, consistency=FeatureConsistency(4.0, 0.0, 10), refit=HeadRefit(4.0, 0.9, 0.1, 0.99, 200)
)


def paired(
    *gains: float,
    honest: tuple[float, ...] | None = None,
    error: float = 0.005,
    images: float = 0.005,
    teacher: int = 990,
    labels: int = 980,
    labels_of: LabelsOf = "data",
) -> PairedStudents:
    """``gains`` are against the labels; those against the honest last layer are the same if not given."""
    own = gains if honest is None else honest
    judged = StudentGain(20.0, gains, sum(gains) / len(gains), error, images)
    return PairedStudents(
        architecture="plain-cnn-w16",
        seeds=tuple(range(len(gains))),
        distillation_weight=0.9,
        steps=90,
        images_seen=6_000,
        training_images=700,
        held_out_images=1_000,
        teacher=wilson(teacher, 1_000),
        labels=wilson(labels, 1_000),
        honest=wilson(labels, 1_000),
        gains=(StudentGain(1.0, (0.0,) * len(gains), 0.0, error, images), judged),
        judged_temperature=20.0,
        against_honest=StudentGain(20.0, own, sum(own) / len(own), error, images),
        slope=-judged.mean,
        slope_error=error,
        seconds=1.0,
        labels_of=labels_of,
    )


def judged(found: NastyFindings, students: PairedStudents | None = None) -> UndistillableResult:
    return judge(replace(found, students=students), seconds=2.0)


def test_students_that_lose_are_detected_and_the_confounder_is_named() -> None:
    result = judged(USUAL, paired(-0.08, -0.10, -0.09, -0.07, -0.11))
    assert result.word == "detected"
    assert "9.0 points of accuracy" in result.sentence
    assert any("less accurate than its students" in line for line in result.evidence)
    assert any("softened answers" in line for line in result.advice)


def test_without_labels_nothing_is_said_of_accuracy() -> None:
    students = paired(-0.08, -0.10, -0.09, -0.07, -0.11, teacher=1_000, labels_of="network")
    result = judged(USUAL, students)
    assert result.word == "detected"
    assert "9.0 points of agreement with it" in result.sentence
    assert "no labels of its classes" in result.sentence
    assert any("the classes that it names stood in" in line for line in result.evidence)
    assert not any("accurate than its students" in line for line in result.evidence)


def test_what_twins_of_an_honest_last_layer_lose_too_is_not_the_networks_doing() -> None:
    """A clean public ResNet-20 on CIFAR-10: short runs cost 13 points, whoever the student learns from."""
    result = judged(USUAL, paired(-0.14, -0.12, -0.10, -0.16, -0.12, honest=(0.001,) * 5, error=0.003))
    assert result.word == "not_detected"
    assert "Short runs cost that by themselves" in result.sentence
    assert "Features that mislead" in result.sentence


def test_twins_that_gain_more_do_not_make_a_network_nasty_that_harms_nobody() -> None:
    better = paired(0.01, 0.01, 0.01, 0.01, 0.01, honest=(-0.02,) * 5, error=0.012)
    assert judged(USUAL, better).word == "inconclusive"
    assert not harms_students(better)


def test_students_that_gain_are_not_detected_even_if_the_answers_look_unusual() -> None:
    """Label smoothing makes answers unusual and harms nobody; students were asked, so they decide."""
    result = judged(UNUSUAL, paired(0.01, 0.0, 0.005, 0.01, 0.0, error=0.003))
    assert result.word == "not_detected"
    assert "safe" not in result.sentence


@pytest.mark.parametrize(
    "students",
    [
        paired(-0.02, -0.02, -0.02, -0.02, -0.02, images=0.011),  # within two errors of the images
        paired(-0.09, -0.02, -0.03, -0.05, -0.01),  # one of the pairs lost a point only
        paired(-0.08, -0.10, -0.08, -0.09, error=0.001, images=0.001),  # four pairs: one chance in sixteen
    ],
)
def test_a_loss_that_may_be_chance_is_inconclusive(students: PairedStudents) -> None:
    assert judged(USUAL, students).word == "inconclusive"


def test_pairs_that_lose_very_unequally_are_detected_if_all_of_them_do() -> None:
    """As with nasty networks of digits: the spread of five pairs alone would hide 9 points."""
    assert judged(USUAL, paired(-0.02, -0.22, -0.02, -0.16, -0.03, error=0.06)).word == "detected"


@pytest.mark.parametrize(
    ("labels", "commonest", "word"),
    [
        (12, 0.01, "inconclusive"),  # at chance: of a hundred classes, a short run
        (955, 0.95, "inconclusive"),  # nearly all images of one class, and nothing else is named
        (150, 0.01, "not_detected"),
    ],
)
def test_students_that_learned_nothing_show_no_harm(labels: int, commonest: float, word: str) -> None:
    students = paired(*[0.001] * 5, error=0.0002, labels=labels)
    result = judged(replace(USUAL, commonest=commonest), students)
    assert result.word == word
    assert ("learned too little for a loss to show" in result.sentence) == (word == "inconclusive")


def test_harm_is_a_loss_that_the_teacher_does_not_explain() -> None:
    assert harms_students(paired(-0.09, -0.02, -0.03, -0.05, 0.0))
    assert not harms_students(paired(*[-0.009] * 5))
    assert not harms_students(paired(*[-0.10] * 5, honest=(0.0,) * 5))
    assert not harms_students(paired(*[-0.10] * 5, teacher=900, labels=980))


def test_a_loss_that_is_below_a_point_for_certain_is_not_detected() -> None:
    assert judged(USUAL, paired(*[-0.009] * 5, error=0.0002)).word == "not_detected"
    assert judged(USUAL, paired(*[0.001] * 5, error=0.03)).word == "inconclusive"  # perhaps 8 points
    assert judged(USUAL, paired(*[0.001] * 4, error=0.0002)).word == "inconclusive"  # four pairs only


@pytest.mark.parametrize("error", [0.0004, 0.03])
def test_a_loss_below_a_point_that_may_be_more_is_inconclusive(error: float) -> None:
    result = judged(USUAL, paired(*[-0.009] * 5, error=error))
    assert result.word == "inconclusive"
    assert "cannot rule out more" in result.sentence


def test_a_teacher_less_accurate_than_its_students_explains_their_loss() -> None:
    weak = paired(*[-0.10] * 5, teacher=900, labels=980)
    assert teacher_explains(weak)
    result = judged(USUAL, weak)
    assert result.word == "inconclusive"
    assert "90.0%" in result.sentence
    # Far more than it lacks.
    assert judged(USUAL, paired(*[-0.30] * 5, teacher=950, labels=980)).word == "detected"


def test_labels_in_another_order_never_detect() -> None:
    """The teacher is then wrong on all of them, and its students learn to be."""
    assert judged(USUAL, paired(*[-0.9] * 5, teacher=10, labels=950)).word == "inconclusive"


def test_answers_alone_never_detect() -> None:
    everything = replace(UNUSUAL, peaks=(PeakStatistics(4.0, 5.0, 1.0, 1.0),))
    result = judged(everything)
    assert result.word == "inconclusive"
    assert "look unusual" in result.sentence


@pytest.mark.parametrize("students", [None, paired(*[-0.02] * 5, images=0.02)])
def test_advice_names_what_is_missing_and_nothing_else(students: PairedStudents | None) -> None:
    missing = ("give at least 200 labelled clean images", "take budget thorough")
    (line,) = judged(replace(USUAL, missing=missing), students).advice
    assert line.endswith(", give at least 200 labelled clean images and take budget thorough.")
    assert judged(USUAL, students).advice == ()


@pytest.mark.parametrize("found", [USUAL, UNUSUAL])
def test_students_whose_training_broke_leave_no_answer_and_it_is_said(found: NastyFindings) -> None:
    result = judged(replace(found, broken="A student's loss is nan at step 3."))
    assert result.word == "inconclusive"
    assert "their training broke. A student's loss is nan at step 3." in result.sentence
    assert "No student was trained" not in result.sentence
    assert result.advice == ("Run the audit again with another seed: the training of the students broke.",)


def test_one_of_three_is_enough_to_look_unusual() -> None:
    one = replace(USUAL, refit=UNUSUAL.refit)
    assert one.unusual == ("head_refit",)
    assert judged(one).word == "inconclusive"
    assert judged(USUAL).word == "not_detected"


def test_peaks_count_at_the_papers_temperature_only() -> None:
    """At 20 every network of ten classes has many."""
    assert USUAL.unusual == ()
    assert replace(USUAL, num_classes=100).unusual == ("multi_peak",)


@pytest.mark.parametrize("found", [USUAL, UNUSUAL])
def test_patches_can_say_neither_usual_nor_unusual(found: NastyFindings) -> None:
    on_patches = replace(found, image_source="surrogate patches")
    result = judged(on_patches)
    assert on_patches.unusual == ()
    assert result.word == "inconclusive"
    assert "unusual" not in result.sentence
    assert all(line.endswith("No mark applies to surrogate patches.") for line in result.evidence)
    assert any("patches" in line for line in result.not_tested)


def test_nothing_measured_is_inconclusive_and_says_why() -> None:
    nothing = NastyFindings(10, "clean images", 100, failures=("The answers are not finite.",))
    result = judged(nothing)
    assert result.word == "inconclusive"
    assert "not finite" in result.sentence
    assert result.not_tested[0] == "The answers are not finite."


def test_what_looks_unusual_comes_first_in_the_evidence() -> None:
    lines = judged(replace(USUAL, refit=UNUSUAL.refit)).evidence
    assert lines[0].startswith("Last layer fitted anew")
    assert lines[0].endswith("unusual.")
    assert lines[1].endswith("mark this is usual.")


def test_the_data_free_probe_is_named_as_not_done() -> None:
    assert any("N6" in line for line in judged(USUAL).not_tested)
