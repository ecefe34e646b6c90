"""An audit's findings before they are written down as SARIF: rule, level, sentence, figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from models.recipes.probe_catalog import REPORTED_ONLY
from models.report.sarif_rules import BACKDOOR, HAZARD, NO_ANSWER, UNDISTILLABLE, Json, Level, facts_of
from models.results.audit import AuditResult, Rate, TransferResult
from models.results.undistillable import UndistillableResult

BACKDOOR_LEVELS: dict[str, Level] = {"detected": "error", "suspected": "warning", "not_detected": "none"}
UNDISTILLABLE_LEVELS: dict[str, Level] = {"detected": "warning", "not_detected": "none"}


@dataclass(frozen=True)
class Finding:
    """A result before it is written down."""

    rule: str
    level: Level
    """``none`` makes it a pass."""
    text: str
    identity: tuple[str, ...]
    """What tells it from other findings of the rule on the same bytes, and stays when it is audited again."""
    properties: Json


def findings_of(audit: AuditResult) -> list[Finding]:
    """Return the verdict, the hazard of each trigger that was tried, and whether learning suffers."""
    tried = [transfer for transfer in audit.transfers if transfer.hazard != "not_tested"]
    found = [_backdoor(audit), *(_hazard(audit, transfer) for transfer in tried)]
    if audit.undistillable is not None:
        found.append(_undistillable(audit, audit.undistillable))
    return found


def _backdoor(audit: AuditResult) -> Finding:
    properties = {
        **_evidence(audit),
        "targetLabel": audit.target_label,
        "evidence": audit.evidence,
        "notTested": audit.not_tested,
        "advice": audit.advice,
    }
    if audit.verdict == "inconclusive":
        return Finding(NO_ANSWER, "note", audit.sentence, ("backdoor",), properties)
    text = audit.sentence
    if audit.verdict == "not_detected":
        asked = ", ".join(title_of(name).lower() for name in asked_of_backdoors(audit))
        text += (
            f" Asked were: {asked or 'no probe'}. What each cannot see is in the notifications of the run."
        )
    identity = ("class", str(audit.target_label))
    return Finding(BACKDOOR, BACKDOOR_LEVELS[audit.verdict], text, identity, properties)


def _hazard(audit: AuditResult, transfer: TransferResult) -> Finding:
    level: Level = "none"
    moved = "stays below half of the images in"
    if transfer.hazard == "high":
        level, moved = "error" if audit.verdict in {"detected", "suspected"} else "warning", "moves into"
    text = (
        f"The trigger {transfer.trigger} {moved} a throw-away student distilled without a defense over the "
        f"channel {transfer.channel}: it sends {_told(transfer.student_success)} to class "
        f"{transfer.target_label} on the student, {transfer.teacher_success.value:.0%} on the teacher; a "
        f"control of the same size, which leads to another class, works on "
        f"{transfer.control_success.value:.0%}."
    )
    if level == "none":
        text += " That says nothing of other triggers, other channels and longer training."
    properties = {
        **_evidence(audit),
        "targetLabel": transfer.target_label,
        "teacherSuccess": asdict(transfer.teacher_success),
        "studentSuccess": asdict(transfer.student_success),
        "controlSuccess": asdict(transfer.control_success),
        "imagesSeen": transfer.images_seen,
    }
    identity = ("transfer", transfer.channel, transfer.trigger, str(transfer.target_label))
    return Finding(HAZARD, level, text, identity, properties)


def _told(rate: Rate) -> str:
    return f"{rate.value:.0%} of {rate.n:,} images (95 % interval {rate.low:.0%} to {rate.high:.0%})"


def _undistillable(audit: AuditResult, found: UndistillableResult) -> Finding:
    students = found.students
    properties: Json = {
        "verdict": found.word,
        "seeds": [audit.seed, *(() if students is None else students.seeds)],
        "evidence": found.evidence,
        "notTested": found.not_tested,
        "advice": found.advice,
    }
    if found.word == "inconclusive":
        return Finding(NO_ANSWER, "note", found.sentence, ("undistillable",), properties)
    return Finding(UNDISTILLABLE, UNDISTILLABLE_LEVELS[found.word], found.sentence, ("teacher",), properties)


def _evidence(audit: AuditResult) -> Json:
    """Return how sure the verdict is, and what it was made with."""
    found = audit.calibration
    return {
        "verdict": audit.verdict,
        "tier": audit.tier,
        "seeds": [audit.seed],
        "pValue": None if found is None else found.p_value,
        "alpha": None if found is None else found.alpha,
        "falsePositiveBand": None if found is None else found.band,
        "calibration": None
        if found is None
        else {
            "name": found.name,
            "sha256": found.sha256,
            "references": found.references,
            "probes": found.probes,
            "driving": found.driving,
            "sentence": found.sentence,
        },
        "hazard": audit.hazard,
        "hazardByChannel": [
            {
                "channel": transfer.channel,
                "trigger": transfer.trigger,
                "targetLabel": transfer.target_label,
                "hazard": transfer.hazard,
                "index": transfer.index,
            }
            for transfer in audit.transfers
        ],
    }


def asked_of_backdoors(audit: AuditResult) -> list[str]:
    """Name the probes that gave an answer about backdoors, of those that have a part in the verdict."""
    silent = {probe.probe for probe in audit.probes if not probe.answered}
    if audit.hazard == "not_tested":  # by any of the students
        silent.add("transfer")
    return [name for name in probes_that_ran(audit) if name not in {*silent, *REPORTED_ONLY}]


def probes_that_ran(audit: AuditResult) -> list[str]:
    """Name all that ran and ask about backdoors, whether or not an answer came out."""
    names = [probe.probe for probe in audit.probes]
    if any(trigger.origin == "given" for trigger in audit.triggers):
        names.append("given_trigger")
    if audit.transfers:
        names.append("transfer")
    return names


def title_of(probe: str) -> str:
    """Return a probe's name for a reader; the plain name if the catalog lacks it."""
    facts = facts_of(probe)
    return probe if facts is None else facts.title
