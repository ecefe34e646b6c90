"""From statistics and students to one of three words.

Where students were trained they decide (``weigh_students``).

N1 to N3 mean little without clean networks of the same kind beside them, and there are none here: alone they
say at most that a network looks unusual, which is ``inconclusive``, and one of them is enough for that
(algorithms.md 6.4 wants two of three, with references). On surrogate patches no mark applies: there a
harmless network of digits had the divergence of a nasty one (docs/results.md). Nothing here looks at the
backdoor's verdict; of what is found here that one asks only whether students lost (``harms_students``).
"""

from __future__ import annotations

from dataclasses import dataclass

from models.probes.findings import listed
from models.probes.undistillable.output_statistics import paper_temperature
from models.probes.undistillable.weigh_students import by_students, learned_too_little, student_lines
from models.recipes.probe_catalog import find_probe
from models.results.undistillable import (
    FeatureConsistency,
    HeadRefit,
    PairedStudents,
    PeakStatistics,
    Undistillable,
    UndistillableResult,
)

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
    commonest: float = 0.0
    """Share of the commonest label among the students' images."""
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
        """Name those of N1 to N3 that pass their mark; only clean images have marks."""
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
    word: Undistillable
    if found.students is None:
        word, sentence = _by_outputs(found)
    else:
        idle = learned_too_little(found.students, found.commonest)
        word, sentence = ("inconclusive", idle) if idle else by_students(found.students)
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
        f"Nothing in this network's answers looks made to mislead students. {students} Some "
        "networks that cost students many points look as usual."
    )


def _evidence(found: NastyFindings) -> tuple[str, ...]:
    lines = [] if found.students is None else student_lines(found.students)
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
        mark = looks if found.on_clean_images else f"No mark applies to {found.image_source}."
        lines.append(f"{find_probe(name).title}: {line} {mark}")
    return tuple(lines)


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
            f"The answers to images the network was made for: {found.image_source} stood in, and say less."
        )
    if found.students is not None:
        lines.append(
            f"Other students than {found.students.architecture}, other temperatures and weights: strong "
            "students lose least."
        )
    lines += [
        "Clean reference networks: none were used, so how often harmless networks look like this is "
        "not known.",
        "Students distilled without any images of yours (N6): of the one nasty network that was tried, they "
        "lost nothing on patches, nor on images that were inverted from the network in two minutes. A "
        "faithful data-free student takes several times as long as all else here together.",
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
