"""What was not asked, and what would make the answer more certain."""

from __future__ import annotations

from models.data.bundle import AuditData
from models.probes.calibration.conformal import ALPHA, fewest_references
from models.probes.doubts import Doubts
from models.probes.effort import EFFORTS
from models.probes.findings import Findings
from models.probes.not_run import why_not_run
from models.probes.probe_images import COMPARED_CLEAN_IMAGES, FEWEST_CLEAN_IMAGES, enough_clean_images
from models.recipes.probe import ProbeRecipe
from models.recipes.probe_catalog import CHANNEL_IMAGES, PROBES, find_probe
from models.results.audit import BackdoorVerdict, Hazard
from models.results.calibration import CalibrationResult

#: What makes references, and what an audit under other conditions loses without new ones.
_COMMAND = "proctor calibrate"
#: So many clean images let classes be compared as they are in other audits.
_COMPARABLE = 2 * COMPARED_CLEAN_IMAGES
_LOSES = " The clean references of this audit do not fit that one: have others scored"


def name_not_tested(findings: Findings, image_source: str, data: AuditData) -> tuple[str, ...]:
    """List what the audit cannot answer for: failures, probes that did not run, what those that ran miss."""
    silent = {probe.probe: probe.summary for probe in findings.probes if not probe.answered}
    ran = {probe.probe for probe in findings.probes if probe.probe not in silent}
    if any(report.origin == "given" for report in findings.triggers):
        ran.add("given_trigger")
    if findings.transfers:
        ran.add("transfer")
    lines = list(findings.failures)
    lines += [f"{find_probe(name).title} gave no answer. {reason}" for name, reason in silent.items()]
    lines += [
        f"{facts.title} did not run: {why_not_run(facts.name, findings)}."
        for facts in PROBES
        if facts.name not in {*ran, *silent}
    ]
    lines += [
        f"Transfer to a student distilled from {CHANNEL_IMAGES[told.channel]} was not tested. {told.reason}"
        for told in findings.channels
        if told.reason and not told.failed
    ]
    lines += [f"{facts.title} cannot see: {facts.blind_to}." for facts in PROBES if facts.name in ran]
    lines += [
        f"How {effect.trigger} treats each class: {effect.unjudged} of the classes had too few images."
        for effect in findings.effects
        if effect.unjudged
    ]
    if image_source != "clean images":
        stood_in = "patches of photographs" if image_source == "surrogate patches" else "inverted images"
        count = 0 if data.images is None else len(data.images)
        few = (
            f"only {count} clean images were given, {FEWEST_CLEAN_IMAGES} are needed"
            if count
            else ("no clean images were given")
        )
        lines.append(f"Behavior on the images the network was made for: {few}; {stood_in} stood in.")
    lines += _false_positives(findings.calibration)
    return tuple(lines)


def _false_positives(calibration: CalibrationResult | None) -> tuple[str, ...]:
    """Say which claims have no false-positive rate, if any."""
    if calibration is None or calibration.p_value is None:
        why = "" if calibration is None else f" {calibration.sentence}"
        return (f"False-positive rate: no probability belongs to any mark.{why}",)
    claim = "The p-values hold for networks made as the references were; others may score otherwise."
    if calibration.decides:
        return (claim,)
    return (
        f"False-positive rate: {calibration.references} clean reference networks are too few for a detection "
        f"at {calibration.alpha:.0%}.",
        claim,
    )


def _first_of_all(verdict: BackdoorVerdict, hazard: Hazard, doubts: Doubts) -> list[str]:
    """Say what may be done with the network until more is known, and what makes the audit worth repeating."""
    lines = []
    if verdict in {"detected", "suspected"}:
        lines.append("Do not deploy this network, and distill from it only with a defense, as clean jobs do.")
    elif verdict == "inconclusive":
        lines.append(
            "Until this is settled, do not deploy this network, and distill from it only with a defense."
        )
    elif hazard == "high":
        lines.append("Distill from this network only with a defense: a trigger moved to a student.")
    if doubts.misfit:
        lines.append(
            "First settle what does not fit, then audit again: mean and deviation, the images, their labels."
        )
    elif doubts.undeclared:
        lines.append("Declare the mean and the deviation by which the network's users normalize pixels.")
    return lines


def _about_images(
    verdict: BackdoorVerdict, data: AuditData, probe: ProbeRecipe, *, compared: bool
) -> list[str]:
    """Say which images would help; ``compared`` is whether references decided."""
    lines = []
    if not enough_clean_images(data):
        lines.append(
            f"Give at least {FEWEST_CLEAN_IMAGES} clean images, better {_COMPARABLE}; "
            "labels let accuracy be measured too."
            + (f"{_LOSES} with such images ({_COMMAND} --images)." if compared else "")
        )
        if probe.surrogates != "inverted" and verdict != "detected":
            lines.append(
                "If there are none, and the network has BatchNorm, set probe.surrogates to inverted: images "
                "inverted from it show more backdoors than patches do."
                + (f"{_LOSES} with such images ({_COMMAND} --surrogates inverted)." if compared else "")
            )
    elif data.labels is None:
        lines.append("Give labels for the clean images: accuracy can then be measured.")
    if data.images is not None and FEWEST_CLEAN_IMAGES <= len(data.images) < _COMPARABLE:
        lines.append(
            f"Give {_COMPARABLE} clean images or more: among fewer, smaller patches do, so scores cannot be "
            "compared with those of most references."
        )
    return lines


def give_advice(
    verdict: BackdoorVerdict, hazard: Hazard, data: AuditData, probe: ProbeRecipe, findings: Findings
) -> tuple[str, ...]:
    """Say what to do next, the most useful first.

    Args:
        verdict: The word.
        hazard: Over all channels.
        data: What was given.
        probe: What was asked, surrogates settled.
        findings: What was found.
    """
    inverted = probe.surrogates == "inverted" and not enough_clean_images(data)
    command = f"{_COMMAND} --surrogates inverted" if inverted else _COMMAND
    lines = _first_of_all(verdict, hazard, findings.doubts)
    compared = findings.calibration is not None and findings.calibration.decides
    lines += _about_images(verdict, data, probe, compared=compared)
    if any(report.origin == "given" for report in findings.triggers):
        lines.append(
            "A given trigger proves something only if it was known beforehand: the success of one that was "
            "recovered from this network, by this audit or elsewhere, means nothing."
        )
    else:
        lines.append(
            "If a trigger is suspected, give it: whether it works can be measured instead of guessed. What "
            "was recovered from this network is no such trigger; searches find some in clean ones, too."
        )
    if probe.budget != "thorough" and verdict != "detected":
        lines.append(
            "Run the audit again with budget thorough; it compares all classes, so with many it takes long."
            + (f"{_LOSES} with that budget ({command} --budget thorough)." if compared else "")
        )
    if not compared and verdict != "detected":
        # Scores on patches of photographs that one user gave compare with no other network's.
        patched = data.photographs and probe.surrogates != "inverted" and not enough_clean_images(data)
        lines.append(
            f"Have clean networks like this one scored ({command}): beside {fewest_references()} of them or "
            f"more, `detected` is said of {ALPHA:.0%} of such networks by mistake, on average. That holds "
            "for audits with the same budget and sort of images."
            + (" None can be scored on patches of your photographs: leave them out then." if patched else "")
        )
    if any(moved.begun or moved.learned_too_little for moved in findings.transfers):
        seen = probe.transfer_images or EFFORTS[probe.budget].transfer_images
        lines.append(
            f"Raise probe.transfer_images (it was {seen:,}): a throw-away student learned too little of its "
            "teacher to tell how far a trigger moves."
        )
    if not probe.transfer:
        lines.append("Run the transfer probe: it shows whether a trigger moves to a briefly trained student.")
    return tuple(lines)
