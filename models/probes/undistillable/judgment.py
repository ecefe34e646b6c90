"""From statistics and students to one of three words.

``detected`` is kept for what was measured: students that learned from the teacher ended worse than their
twins that did not, by more than one point and, over three pairs or more, beyond chance (N4; algorithms.md
6.4). That file wants two standard errors. From three pairs they are worth little: a harmless network of
digits passed both marks (docs/results.md). So the mean must lie beyond Student's 97.5 % quantile for that
many pairs. ``not_detected`` asks as much: by the same quantile the students lost no more than that point. A
teacher that is less accurate than the students themselves drags them down without any intent,
so what it lacks against them, twice, must be exceeded too (ours).

N1 to N3 mean little without clean networks of the same kind beside them, and there are none here: alone they
say at most that a network looks unusual, which is ``inconclusive``, and one of them is enough for that
(algorithms.md 6.4 wants two of three, with references). On surrogate patches no mark applies: there a
harmless network of digits had the divergence of a nasty one (docs/results.md). Nothing here looks at the
backdoor's verdict, and nothing there looks here.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.probes.findings import listed
from models.probes.undistillable.output_statistics import paper_temperature
from models.recipes.probe_catalog import find_probe
from models.results.undistillable import (
    FeatureConsistency,
    HeadRefit,
    PairedStudents,
    PeakStatistics,
    Undistillable,
    UndistillableResult,
)

#: N4's marks: a mean loss of more than a point, and of so many standard errors by the number of pairs.
LEAST_LOSS, FEWEST_PAIRS = 0.01, 3
STANDARD_ERRORS = {3: 4.30, 4: 3.18, 5: 2.78}

#: Marks of "looks unusual", uncalibrated: two peaks where a certain network has one; an order of classes that
#: explains little of the answers; nats between the last layer and the refitted one. The last was set by
#: looking at six networks of digits: .228 twice at omega .04, at most .018 of the others; the first two part
#: none of them.
UNUSUAL_PEAKS, UNUSUAL_RHO, UNUSUAL_DIVERGENCE = 2.0, 0.2, 0.1


@dataclass(frozen=True)
class NastyFindings:
    """All that was measured."""

    num_classes: int
    image_source: str
    images: int
    peaks: tuple[PeakStatistics, ...] = ()
    consistency: FeatureConsistency | None = None
    refit: HeadRefit | None = None
    students: PairedStudents | None = None
    failures: tuple[str, ...] = ()
    """Why a part gave no result, one sentence each."""
    broken: str = ""
    """Why the students' training broke; empty if it did not, or if none was to learn."""
    missing: tuple[str, ...] = ()
    """What to do so that students can be asked, or more surely, as the end of a sentence."""

    @property
    def on_clean_images(self) -> bool:
        """Whether N1 to N3 saw images of the kind that the network was made for."""
        return self.image_source == "clean images"

    @property
    def asked(self) -> int:
        """Count those of N1 to N3 that gave a number."""
        return bool(self.peaks) + (self.consistency is not None) + (self.refit is not None)

    @property
    def unusual(self) -> tuple[str, ...]:
        """Name those of N1 to N3 that pass their mark; none on patches."""
        if not self.on_clean_images:
            return ()
        temperature = paper_temperature(self.num_classes)
        peaks = [found.peaks for found in self.peaks if found.temperature == temperature]
        passed = {
            "multi_peak": any(value >= UNUSUAL_PEAKS for value in peaks),
            "feature_consistency": self.consistency is not None and self.consistency.rho <= UNUSUAL_RHO,
            "head_refit": self.refit is not None and self.refit.divergence >= UNUSUAL_DIVERGENCE,
        }
        return tuple(name for name, does in passed.items() if does)


def judge(found: NastyFindings, *, seconds: float) -> UndistillableResult:
    """Weigh the findings."""
    word, sentence = _by_outputs(found) if found.students is None else _by_students(found.students)
    return UndistillableResult(
        word=word,
        sentence=sentence,
        evidence=_evidence(found),
        not_tested=_not_tested(found),
        advice=_advice(word, found),
        image_source=found.image_source,
        images=found.images,
        peaks=found.peaks,
        consistency=found.consistency,
        refit=found.refit,
        students=found.students,
        seconds=seconds,
    )


def teacher_explains(students: PairedStudents) -> bool:
    """Whether the students' loss is within twice what the teacher lacks against students of the labels."""
    lacking = max(0.0, students.labels.value - students.teacher.value)
    return lacking > 0 and -students.judged.mean <= 2 * lacking


def _by_students(students: PairedStudents) -> tuple[Undistillable, str]:
    gain = students.judged
    error = f"(standard error {100 * gain.standard_error:.1f}, {len(gain.gains)} pairs)"
    change = f"{points(gain.mean)} {error}"
    # More pairs than the table has need fewer errors; the strictest will do.
    needed = STANDARD_ERRORS.get(len(gain.gains), STANDARD_ERRORS[FEWEST_PAIRS]) * gain.standard_error
    if gain.mean - needed > -LEAST_LOSS:
        return "not_detected", (
            f"Learning from this network did small students no harm beyond a point: {change} of accuracy "
            "against students that never saw it. Other students, images or temperatures may still suffer."
        )
    if gain.mean >= -LEAST_LOSS:
        return "inconclusive", (
            f"Students that learned from this network ended at most a point worse ({change} of accuracy), "
            "but so few images and pairs cannot rule out a loss of more than a point."
        )
    if -gain.mean <= needed or len(gain.gains) < FEWEST_PAIRS:
        return "inconclusive", (
            f"Students that learned from this network ended worse ({change} of accuracy), but so few images "
            "and pairs could show that by chance."
        )
    if teacher_explains(students):
        return "inconclusive", (
            f"Students that learned from this network ended worse ({change} of accuracy), but it is itself "
            f"right on only {students.teacher.value:.1%} of the images, students of the labels on "
            f"{students.labels.value:.1%}: that alone may be the reason."
        )
    return "detected", (
        f"This network is bad to learn from: small students that did ended {-100 * gain.mean:.1f} points "
        f"less accurate {error} than students that never saw it, although it is itself right on "
        f"{students.teacher.value:.1%} of the images."
    )


def _by_outputs(found: NastyFindings) -> tuple[Undistillable, str]:
    if not found.asked:
        why = " ".join(found.failures)
        return "inconclusive", f"Whether this network is bad to learn from has no answer. {why}".strip()
    students = f"Students were to find out, but their training broke. {found.broken}"
    if not found.broken:
        students = "No student was trained to find out."
    if found.unusual:
        names = listed([find_probe(name).title.lower() for name in found.unusual])
        return "inconclusive", (
            f"This network's answers look unusual ({names}), as those of networks that were made to mislead "
            f"students do, but also of some harmless ones. {students}"
        )
    if found.broken:
        return "inconclusive", f"Whether this network is bad to learn from has no answer. {students}"
    if not found.on_clean_images or found.asked < 3:
        return "inconclusive", (
            "Whether this network is bad to learn from has no answer: that takes images of the kind it was "
            "made for, of at least four classes."
        )
    return "not_detected", (
        f"Nothing in this network's answers looks made to mislead students. {students} Weak forms do not "
        "show in answers."
    )


def _evidence(found: NastyFindings) -> tuple[str, ...]:
    lines = [] if found.students is None else _student_lines(found.students)
    unusual = found.unusual
    outputs = [
        (name, line)
        for name, line in (
            ("multi_peak", _peak_line(found.peaks)),
            ("feature_consistency", _consistency_line(found.consistency)),
            ("head_refit", _refit_line(found.refit)),
        )
        if line
    ]
    for name, line in sorted(outputs, key=lambda entry: entry[0] not in unusual):
        looks = f"By an uncalibrated mark this is {'unusual' if name in unusual else 'usual'}."
        mark = looks if found.on_clean_images else "No mark applies to patches."
        lines.append(f"{find_probe(name).title}: {line} {mark}")
    return tuple(lines)


def _student_lines(students: PairedStudents) -> list[str]:
    gains = "; ".join(
        f"at temperature {gain.temperature:g} {points(gain.mean)} (standard error "
        f"{100 * gain.standard_error:.1f}; pairs {', '.join(f'{100 * value:+.1f}' for value in gain.gains)})"
        for gain in students.gains
    )
    first, last = students.gains[0].temperature, students.gains[-1].temperature
    return [
        f"{find_probe('student_gain').title}: against students of the labels alone "
        f"({students.labels.value:.1%} right), those that learned from this network changed by {gains}.",
        f"{find_probe('temperature_slope').title}: the gain at temperature {first:g} minus that at "
        f"{last:g} is {points(students.slope)} (standard error {100 * students.slope_error:.1f}); "
        "that is larger with networks made to mislead, but positive with some harmless ones.",
        f"This network itself is right on {students.teacher.value:.1%} of the same images. One that is less "
        "accurate than its students harms them without any intent; the loss is weighed against that.",
    ]


def _peak_line(peaks: tuple[PeakStatistics, ...]) -> str:
    return " ".join(
        f"At temperature {found.temperature:g} an answer names {found.peaks:.2f} classes on average; the "
        f"second is {found.second_to_first:.2f} times as probable as the first."
        for found in peaks
    )


def _consistency_line(found: FeatureConsistency | None) -> str:
    if found is None:
        return ""
    return (
        f"The probability that {found.classes} classes give each other and their likeness in the features "
        f"have a rank correlation of {found.rho:.2f}."
    )


def _refit_line(found: HeadRefit | None) -> str:
    if found is None:
        return ""
    return (
        f"A last layer fitted anew to the same features agrees on {found.agreement:.1%} of {found.images:,} "
        f"images; how both share out the rest has a rank correlation of {found.affinity_correlation:.2f} "
        f"(divergence {found.divergence:.2f} nats)."
    )


def _not_tested(found: NastyFindings) -> tuple[str, ...]:
    lines = list(found.failures)
    if not found.on_clean_images:
        lines.append(
            "The answers to images the network was made for: patches of photographs stood in, and say less."
        )
    if found.students is not None:
        lines.append(
            f"Other students than {found.students.architecture}, other temperatures and weights: strong "
            "students lose least."
        )
    lines += [
        "Clean reference networks: none were used, so how often harmless networks look like this is "
        "not known.",
        "Students distilled without any images (N6): a faithful one needs images made from the network and a "
        "student of them, several times the cost of all else here together, and it has not been tried.",
    ]
    return tuple(lines)


def _advice(word: Undistillable, found: NastyFindings) -> tuple[str, ...]:
    lines = []
    if word == "detected":
        lines.append(
            "Do not let students learn from this network's softened answers: train them on labels, or on its "
            "most likely class alone."
        )
    if found.broken:
        lines.append("Run the audit again with another seed: the training of the students broke.")
    elif found.missing and found.students is None:
        lines.append(f"To know whether students suffer, {listed(found.missing)}.")
    elif found.missing and word == "inconclusive":
        lines.append(f"To tell harm from chance, {listed(found.missing)}.")
    return tuple(lines)


def points(share: float) -> str:
    """Write a difference of accuracies in points."""
    return f"{100 * share:+.1f} points"
