from __future__ import annotations

from dataclasses import replace

import pytest

from models.metrics import wilson
from models.probes.undistillable.judgment import NastyFindings, judge, teacher_explains
from models.results.undistillable import (
    FeatureConsistency,
    HeadRefit,
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


def paired(*gains: float, error: float = 0.005, teacher: int = 990, labels: int = 980) -> PairedStudents:
    mean = sum(gains) / len(gains)
    judged = StudentGain(20.0, gains, mean, error)
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
        gains=(StudentGain(1.0, (0.0,) * len(gains), 0.0, error), judged),
        judged_temperature=20.0,
        slope=-mean,
        slope_error=error,
        seconds=1.0,
    )


def judged(found: NastyFindings, students: PairedStudents | None = None) -> UndistillableResult:
    return judge(replace(found, students=students), seconds=2.0)


def test_students_that_lose_are_detected_and_the_confounder_is_named() -> None:
    result = judged(USUAL, paired(-0.08, -0.10, -0.09))
    assert result.word == "detected"
    assert "9.0 points less accurate" in result.sentence
    assert any("less accurate than its students" in line for line in result.evidence)
    assert any("softened answers" in line for line in result.advice)


def test_students_that_gain_are_not_detected_even_if_the_answers_look_unusual() -> None:
    """Label smoothing makes answers unusual and harms nobody; students were asked, so they decide."""
    result = judged(UNUSUAL, paired(0.01, 0.0, 0.005, error=0.003))
    assert result.word == "not_detected"
    assert "safe" not in result.sentence


@pytest.mark.parametrize(
    "students",
    [
        paired(-0.02, -0.02, -0.02, error=0.02),
        paired(-0.018, -0.018, -0.018, error=0.0085),  # two errors: a harmless network of digits gave this
        paired(-0.08, -0.10),  # two pairs only
    ],
)
def test_a_loss_that_may_be_chance_is_inconclusive(students: PairedStudents) -> None:
    assert judged(USUAL, students).word == "inconclusive"


def test_a_loss_that_is_below_a_point_for_certain_is_not_detected() -> None:
    assert judged(USUAL, paired(-0.009, -0.009, -0.009, error=0.0002)).word == "not_detected"
    assert judged(USUAL, paired(0.001, 0.001, 0.001, error=0.03)).word == "inconclusive"  # perhaps 13 points


@pytest.mark.parametrize("error", [0.0003, 0.03])
def test_a_loss_below_a_point_that_may_be_more_is_inconclusive(error: float) -> None:
    result = judged(USUAL, paired(-0.009, -0.009, -0.009, error=error))
    assert result.word == "inconclusive"
    assert "cannot rule out a loss of more than a point" in result.sentence


def test_a_teacher_less_accurate_than_its_students_explains_their_loss() -> None:
    weak = paired(-0.10, -0.10, -0.10, teacher=900, labels=980)
    assert teacher_explains(weak)
    result = judged(USUAL, weak)
    assert result.word == "inconclusive"
    assert "90.0%" in result.sentence
    # Far more than it lacks.
    assert judged(USUAL, paired(-0.30, -0.30, -0.30, teacher=950, labels=980)).word == "detected"


def test_labels_in_another_order_never_detect() -> None:
    """The teacher is then wrong on all of them, and its students learn to be."""
    assert judged(USUAL, paired(-0.9, -0.9, -0.9, teacher=10, labels=950)).word == "inconclusive"


def test_answers_alone_never_detect() -> None:
    everything = replace(UNUSUAL, peaks=(PeakStatistics(4.0, 5.0, 1.0, 1.0),))
    result = judged(everything)
    assert result.word == "inconclusive"
    assert "look unusual" in result.sentence


@pytest.mark.parametrize("students", [None, paired(-0.02, -0.02, -0.02, error=0.02)])
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
    assert all(line.endswith("No mark applies to patches.") for line in result.evidence)
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
