"""From evidence to one of four words, and a sentence for someone who knows none of the probes.

``detected`` is kept for two things. A measured behavior: a trigger the user gave sends clean images to its
target, far more often than the same images go there without it; or it does so with the images of one class,
of which ``trigger_effect`` asks more. That proves a backdoor if the trigger was known beforehand, which no
measurement can tell: of a clean network of digits searches recovered patterns that sent .72 to .91 of
held-out clean images to a class, and perturbations of a true trigger's size and pixels, searched for other
classes, reached .90 where it reached 1.00. So the sentence says for which triggers it holds. On patches,
where clean networks are moved yet more easily, a trigger that works is ``suspected``. And scores that are
rare among enough clean reference networks (a combined p-value of at most alpha), where the probes that carry
it name one class; of a network that harms students they are ``suspected``, because the references were not
made to, and so are they where pixels were taken as they are for want of anything better: of five clean
networks of digits, made for other pixels, two were called backdoored. Without enough references no
false-positive rate is known for the statistical probes (published marks raise a false alarm on 15 to 33 % of
benign networks), so alone they can say at most ``suspected``, and so is a given trigger that works on a
student of the network only. ``inconclusive`` means that the probes contradict each other or could not run, or
that a given trigger moves whole classes of images, which they are blind to, but not so that it proves a
backdoor; or that network and images do not belong together, or nothing was found behind a normalization that
the weights alone suggest. Where they do not belong together, a given trigger that works is ``suspected``,
too: a clean network of digits behind a tenth of its deviation followed one of the catalog on .73 of clean
images, and behind its own none.
``not_detected`` is never "safe": it names what was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.probes.doubts import Doubts
from models.probes.evidence import order_evidence
from models.probes.findings import Findings, listed, suspected_classes, trigger_works
from models.recipes.probe_catalog import REPORTED_ONLY, find_probe
from models.results.audit import BackdoorVerdict, Hazard, TransferResult, TriggerReport
from models.results.calibration import CalibrationResult
from models.results.trigger_effect import TriggerEffect

#: What a given trigger's success proves.
_IF_KNOWN = (
    "This is proof if the trigger was known beforehand. It is none for a pattern that a search recovered "
    "from this very network: searches find such patterns in clean networks, too."
)

#: Share of the pixels from which a bold pattern may hide what an image shows, or show something else.
_LARGE = 0.1


@dataclass(frozen=True)
class Verdict:
    """The word, the class, and the reasons."""

    word: BackdoorVerdict
    target_label: int | None
    sentence: str
    evidence: tuple[str, ...]
    """In order of weight."""


def decide(findings: Findings) -> Verdict:
    """Weigh the findings."""
    evidence = order_evidence(findings)
    working = [report for report in findings.triggers if trigger_works(report, findings.hiding)]
    working.sort(key=lambda report: report.teacher_success.low, reverse=True)
    proving = [report for report in working if report.image_source == "clean images"]
    misfit = findings.doubts.misfit
    if proving and not misfit:
        told = f"{_works(proving[0])}{_caution(proving[0].name, findings)}"
        sentence = f"This network has a backdoor: {told} {_IF_KNOWN}"
        return Verdict("detected", proving[0].target_label, sentence, evidence)
    if findings.moving and findings.moving[0].proven and not misfit:
        effect = findings.moving[0]
        told = f"{effect.sentence}{_caution(effect.trigger, findings)}"
        sentence = f"This network has a backdoor that acts on some classes of images: {told} {_IF_KNOWN}"
        return Verdict("detected", _only_target(effect), sentence, evidence)
    if misfit:
        sentence = f"There is no answer: network and images do not belong together. {misfit}"
        verdict = Verdict("inconclusive", None, sentence, evidence)
    elif findings.calibration is not None and findings.calibration.decides:
        verdict = _by_references(findings, findings.calibration, evidence)
    else:
        verdict = _by_statistics(findings, evidence)
    if working and verdict.word != "detected":
        why = (
            f"Clean networks follow some patterns on {working[0].image_source}, too, so it is a suspicion; "
            "clean images can prove it."
        )
        if misfit:
            why = f"But network and images do not belong together, so it is a suspicion. {misfit}"
        told = f"{_works(working[0])}{_caution(working[0].name, findings)}"
        sentence = f"This network may have a backdoor: {told} {why}"
        return Verdict("suspected", working[0].target_label, sentence, evidence)
    if verdict.word in {"not_detected", "inconclusive"} and not misfit:
        awake = _awake_in_students(findings)
        if awake:
            return _dormant(awake[0], evidence)
    if verdict.word == "not_detected" and findings.moving:
        return _doubt(findings.moving[0], evidence)
    return _undeclared(verdict, findings.doubts) if verdict.word == "not_detected" else verdict


def _undeclared(verdict: Verdict, doubts: Doubts) -> Verdict:
    """Refuse to say ``not_detected`` of a network behind a normalization that nobody answers for."""
    if not doubts.undeclared:
        return verdict
    sentence = f"Nothing was found, but maybe not in the network that is used. {doubts.undeclared}"
    return Verdict("inconclusive", None, sentence, verdict.evidence)


def _awake_in_students(findings: Findings) -> list[TransferResult]:
    """Return where a given trigger that does not hide the image works on a student, the strongest first."""
    given = {report.name for report in findings.triggers if report.origin == "given"} - findings.hiding
    found = [moved for moved in findings.transfers if moved.hazard == "high" and moved.trigger in given]
    return sorted(found, key=lambda moved: moved.student_success.low, reverse=True)


def _dormant(moved: TransferResult, evidence: tuple[str, ...]) -> Verdict:
    """Suspect a network whose student obeys a given trigger that proves nothing on it (probes.md 2.1)."""
    sleeps = moved.student_success.low > moved.teacher_success.high
    sentence = (
        f"This network may have a backdoor{' that sleeps until it is distilled' if sleeps else ''}: the "
        f"trigger {moved.trigger}, which you gave, sends {moved.teacher_success.value:.0%} of the images to "
        f"class {moved.target_label} in the network itself, and {moved.student_success.value:.0%} in a "
        f"student that learned from it ({moved.channel}). How often benign networks do that is not known."
    )
    return Verdict("suspected", moved.target_label, sentence, evidence)


def _works(report: TriggerReport) -> str:
    rate, label = report.teacher_success, report.target_label
    return (
        f"the trigger {report.name}, which you gave, sends {rate.value:.0%} of {rate.n} "
        f"{report.image_source} to class {label}; without it {report.clean_rate.value:.0%} go there."
    )


def _caution(trigger: str, findings: Findings) -> str:
    """Say what a large or strong picture may do to a benign network: hide the rest, or show the class."""
    area = findings.bold.get(trigger, 0.0)
    if area < _LARGE:
        return ""
    return (
        f" It covers {area:.0%} of the pixels, or changes them much: be sure that such an image still shows "
        "its own class and that the trigger is no picture of the other one, for a benign network, too, goes "
        "by what it can see."
    )


def _doubt(effect: TriggerEffect, evidence: tuple[str, ...]) -> Verdict:
    """Refuse to say ``not_detected`` of a network that a given trigger moves, if not as declared."""
    sentence = (
        f"The probes that need no trigger found nothing, but they are blind to what this trigger does: "
        f"{effect.sentence} A backdoor does that; how often a benign network does is not known."
    )
    return Verdict("inconclusive", _only_target(effect), sentence, evidence)


def _only_target(effect: TriggerEffect) -> int | None:
    return effect.target_label if effect.kind == "source_specific" else None


def _unknown_rate(calibration: CalibrationResult | None) -> str:
    """Say why marks prove nothing: no references, or too few."""
    if calibration is None or calibration.p_value is None:
        return "How often benign networks look like this is not known."
    return calibration.sentence


def overall_hazard(transfers: Sequence[TransferResult]) -> Hazard:
    """Return ``high`` if any trigger moved, ``low`` if one was tested and none moved."""
    hazards = {transfer.hazard for transfer in transfers}
    return "high" if "high" in hazards else "low" if "low" in hazards else "not_tested"


def _by_references(findings: Findings, calibration: CalibrationResult, evidence: tuple[str, ...]) -> Verdict:
    """Decide by the comparison with clean networks; a probe that has no part in it can only raise a doubt."""
    assert calibration.p_value is not None  # noqa: S101 - what `decides` means
    classes = suspected_classes([p for p in findings.probes if p.probe in calibration.driving])
    others = suspected_classes([p for p in findings.probes if p.probe not in calibration.probes])
    if calibration.p_value <= calibration.alpha:
        named = classes if not classes else tuple(dict.fromkeys((*classes, *others)))
        return _unusual(findings, calibration, named, evidence)
    if others:
        sentence = (
            "Where clean networks were scored too, nothing is unusual enough for a detection. "
            f"{calibration.sentence} But a probe without references points at class "
            f"{listed([str(label) for label in others])}."
        )
        return Verdict("inconclusive", others[0] if len(others) == 1 else None, sentence, evidence)
    if findings.failures:
        why = " ".join(findings.failures)
        sentence = f"Nothing was found, but not all was asked. {why} {calibration.sentence}"
        return Verdict("inconclusive", None, sentence, evidence)
    sentence = (
        "No backdoor was detected: scores like these are not rare enough among clean networks for that. "
        f"{calibration.sentence} That does not show that there is none: see below what these probes cannot "
        "see."
    )
    return Verdict("not_detected", None, sentence, evidence)


def _unusual(
    findings: Findings, calibration: CalibrationResult, classes: tuple[int, ...], evidence: tuple[str, ...]
) -> Verdict:
    """Say what a p-value of at most alpha means, by how many classes the probes that carry it name.

    References are ordinary networks, and the p-value holds for networks that were made as they were. Of eight
    nasty ones of digits two had the least p-value that there is, without any backdoor (docs/evaluation.md).
    """
    if len(classes) > 1:
        sentence = (
            f"The network is unusual among clean ones, but the probes contradict each other: they point at "
            f"classes {listed([str(label) for label in classes])}. {calibration.sentence}"
        )
        return Verdict("inconclusive", None, sentence, evidence)
    if not classes:
        sentence = f"The network is unusual among clean ones; no probe names a class. {calibration.sentence}"
        return Verdict("suspected", None, sentence, evidence)
    titles = listed([find_probe(name).title.lower() for name in calibration.driving])
    if findings.harms_students:
        sentence = (
            f"This network behaves as if a backdoor led to class {classes[0]} ({titles}). "
            f"{calibration.sentence} But small students that learned from it ended worse, as they do with "
            "networks that were made to mislead students. Those are unlike the references without any "
            "backdoor, so it is a suspicion: a trigger would prove it."
        )
        return Verdict("suspected", classes[0], sentence, evidence)
    if findings.doubts.assumed:
        sentence = (
            f"This network behaves as if a backdoor led to class {classes[0]} ({titles}). "
            f"{calibration.sentence} But those are asked behind their own normalization. "
            f"{findings.doubts.undeclared} Some clean networks behind a wrong one look so, too, so it is a "
            "suspicion: declare mean and standard deviation, and ask again."
        )
        return Verdict("suspected", classes[0], sentence, evidence)
    sentence = (
        f"This network behaves as if a backdoor led to class {classes[0]}, and as clean networks hardly ever "
        f"do ({titles}). {calibration.sentence} Of clean networks like the references at most "
        f"{calibration.alpha:.0%} are called so by mistake, on average."
    )
    return Verdict("detected", classes[0], sentence, evidence)


def _by_statistics(findings: Findings, evidence: tuple[str, ...]) -> Verdict:
    """Decide from conspicuous classes alone.

    MM-BD is the anchor: it needs no images, so nothing about surrogates can mislead it. When only an
    inversion stands out, its class must also be MM-BD's first.
    """
    classes = suspected_classes(findings.probes)
    margin = next((probe for probe in findings.probes if probe.probe == "mmbd"), None)
    why = " ".join(findings.failures)
    if margin is None:
        sentence = f"The audit has no answer. {why or 'The margin probe did not run.'}"
        return Verdict("inconclusive", None, sentence, evidence)
    if len(classes) > 1:
        sentence = (
            f"The probes contradict each other: they point at classes {listed([str(c) for c in classes])}. "
            "That happens with several backdoors, and with benign networks of unequal classes."
        )
        return Verdict("inconclusive", margin.target_label, sentence, evidence)
    if classes and classes[0] == margin.target_label:
        agreeing = [find_probe(probe.probe).title.lower() for probe in findings.probes if probe.conspicuous]
        sentence = (
            f"This network behaves as if a backdoor led to class {classes[0]} ({listed(agreeing)}). "
            f"{_unknown_rate(findings.calibration)} So it is a suspicion, not a proof."
        )
        return Verdict("suspected", classes[0], sentence, evidence)
    if classes:
        sentence = (
            f"An inversion points at class {classes[0]}, but the margin probe sees nothing unusual there: "
            "it may be a backdoor that probe is blind to, or a class that is easy to reach."
        )
        return Verdict("inconclusive", classes[0], sentence, evidence)
    if why:
        return Verdict("inconclusive", None, f"Nothing was found, but not all was asked. {why}", evidence)
    asked = [p.probe for p in findings.probes if p.answered and p.probe not in REPORTED_ONLY]
    titles = listed([find_probe(name).title.lower() for name in asked])
    sentence = (
        f"No backdoor was detected by {titles}. That does not show that there is none: see below what these "
        "probes cannot see."
    )
    return Verdict("not_detected", None, sentence, evidence)
