"""What paired students say: does learning from the teacher do harm, and is that its own doing?

``detected`` is kept for what was measured: students that learned from the teacher ended worse than their
twins that did not (N4; algorithms.md 6.4). That file wants a mean loss of more than a point, and of two
standard errors over three pairs, against twins that learned from the labels. Both fall short. Short runs cost
students of harmless networks as much (13 points with a clean public ResNet-20), so the twins that decide
learned from the same features through an honest last layer (``honest_head``); the loss against the labels
must be there, too. And what a nasty network costs varies so much from pair to pair that their spread hides
it: of four on digits, losses of 9 to 22 points, Student's quantile for five pairs found one. So chance is
asked of each of its two sources by itself. Of the training runs: all of five pairs lose more than a point,
which pairs that fall on either side of that mark alike do once in 32. Of the images: the mean loss exceeds
two of their standard errors. ``not_detected`` is for a mean that by Student's 97.5 % quantile for five pairs
lost no more than the point against either kind of twins. A teacher that is less accurate than the students
themselves drags them down without any intent; where that may explain the loss there is no answer (ours).

Images without labels get the classes that the teacher names: students of the labels then learn those alone,
without its softened answers, and "accuracy" is agreement with it. What it lacks itself is not known then, but
no kind of twins is spared its errors (ours).

Students that learned nothing cannot lose anything: of many classes a short run leaves all of them at chance,
and of images that nearly all are of one class all of them name it. Where students of the labels are not
surely more than a point above naming the commonest label, a loss could not show, and there is no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.recipes.probe_catalog import find_probe
from models.results.undistillable import LabelsOf, PairedStudents, StudentGain, Undistillable

#: N4's marks: the loss that counts, on average and in every one of so many pairs; how many standard errors of
#: the images it must exceed; and of the spread over five pairs, for the opposite.
LEAST_LOSS, FEWEST_PAIRS, IMAGE_ERRORS, SPREAD_ERRORS = 0.01, 5, 2.0, 2.78


@dataclass(frozen=True)
class _Words:
    """How what is measured is called."""

    measure: str
    twins: str
    """Of students: whom those of the labels learned from."""
    right: str


_WORDS: Mapping[LabelsOf, _Words] = {
    "data": _Words("accuracy", "that never saw it", "right"),
    "network": _Words("agreement with it", "that learned only which classes it names", "in agreement"),
}


def teacher_explains(students: PairedStudents) -> bool:
    """Whether the students' loss is within twice what the teacher lacks against students of the labels."""
    lacking = max(0.0, students.labels.value - students.teacher.value)
    return lacking > 0 and -students.judged.mean <= 2 * lacking


def harms_students(students: PairedStudents) -> bool:
    """Whether students lost more than a point on average against both kinds of twins, by chance or not."""
    losses = -students.judged.mean, -students.against_honest.mean
    return min(losses) > LEAST_LOSS and not teacher_explains(students)


def learned_too_little(students: PairedStudents, commonest: float) -> str:
    """Say that no student learned enough to lose anything, in a sentence; empty if they did.

    Args:
        students: What they and the teacher are right on.
        commonest: Share of the commonest label among the images.
    """
    if students.labels.low - commonest > LEAST_LOSS:
        return ""
    words = _WORDS[students.labels_of]
    return (
        f"Whether this network is bad to learn from has no answer: students {words.twins} learned too little "
        f"for a loss to show. They are {words.right} on {students.labels.value:.1%} of the images; naming "
        f"the commonest class would be on {commonest:.1%}."
    )


def by_students(students: PairedStudents) -> tuple[Undistillable, str]:
    """Give the word, and why in a sentence."""
    gain, own, words = students.judged, students.against_honest, _WORDS[students.labels_of]
    change = f"{points(gain.mean)} {_error(gain)} of {words.measure}"
    beside = f"{points(own.mean)} {_error(own)} against twins that learned through an honest last layer"
    if _spares(gain):
        return "not_detected", (
            f"Learning from this network did small students no harm beyond a point: {change} "
            f"against students {words.twins}. Other students, images or temperatures may still suffer."
        )
    if teacher_explains(students):
        return "inconclusive", (
            f"Students that learned from this network ended worse ({change}), but it is itself "
            f"right on only {students.teacher.value:.1%} of the images, students of the labels on "
            f"{students.labels.value:.1%}: that alone may be the reason."
        )
    if _spares(own):
        return "not_detected", (
            f"Small students that learned from this network changed by {change} against students "
            f"{words.twins}, but hardly by its own last layer: {beside}. Short runs cost that by themselves. "
            "Features that mislead, or other students, were not tested."
        )
    if not harms_students(students):
        return "inconclusive", (
            "Students that learned from this network ended at most a point worse than one kind of twins, "
            f"{change} against students {words.twins}, {beside}, but so few images and pairs cannot rule out "
            "more."
        )
    by_chance = max(own.gains) >= -LEAST_LOSS or -own.mean <= IMAGE_ERRORS * own.image_error
    if by_chance or len(own.gains) < FEWEST_PAIRS:
        return "inconclusive", (
            f"Students that learned from this network ended worse: {change}, {beside}. But so "
            "few images and pairs could show that by chance."
        )
    itself = "the images have no labels of its classes to say how accurate it is itself"
    if students.labels_of == "data":
        itself = f"it is itself right on {students.teacher.value:.1%} of the images"
    return "detected", (
        f"This network is bad to learn from: small students that did ended {-100 * gain.mean:.1f} points of "
        f"{words.measure} {_error(gain)} behind students {words.twins}, and {-100 * own.mean:.1f} points "
        f"{_error(own)} behind twins that learned through an honest last layer; {itself}."
    )


def _spares(gain: StudentGain) -> bool:
    """Whether pairs enough show that on average no more than a point is lost."""
    certain = gain.mean - SPREAD_ERRORS * gain.standard_error > -LEAST_LOSS
    return certain and len(gain.gains) >= FEWEST_PAIRS


def _error(gain: StudentGain) -> str:
    return f"(standard error {100 * gain.standard_error:.1f}, {len(gain.gains)} pairs)"


def student_lines(students: PairedStudents) -> list[str]:
    """Say what was measured, a sentence each."""
    gains = "; ".join(_gain_text(gain) for gain in students.gains)
    first, last = students.gains[0].temperature, students.gains[-1].temperature
    own, words = students.against_honest, _WORDS[students.labels_of]
    lines = [
        f"{find_probe('student_gain').title}: against students {words.twins} "
        f"({students.labels.value:.1%} {words.right}), those that learned from this network changed by "
        f"{gains}.",
        "Other twins learned from the same features through a last layer that was fitted anew to the classes "
        f"this network names ({students.honest.value:.1%} {words.right}). Against them they changed by "
        f"{_gain_text(own)}: that much is its own last layer's doing.",
        f"{find_probe('temperature_slope').title}: the gain at temperature {first:g} minus that at "
        f"{last:g} is {points(students.slope)} (standard error {100 * students.slope_error:.1f}); "
        "that is larger with networks made to mislead, but positive with some harmless ones.",
    ]
    if students.labels_of == "network":
        return [
            *lines,
            "The images have no labels of its classes, so the classes that it names stood in for them.",
        ]
    return [
        *lines,
        f"This network itself is right on {students.teacher.value:.1%} of the same images. One that is less "
        "accurate than its students harms them without any intent; the loss is weighed against that.",
    ]


def _gain_text(gain: StudentGain) -> str:
    pairs = ", ".join(f"{100 * value:+.1f}" for value in gain.gains)
    error = f"standard error {100 * gain.standard_error:.1f}; pairs {pairs}"
    return f"{points(gain.mean)} at temperature {gain.temperature:g} ({error})"


def points(share: float) -> str:
    """Write a difference of accuracies in points."""
    return f"{100 * share:+.1f} points"
