"""The evidence in plain sentences, in order of weight."""

from __future__ import annotations

from models.probes.findings import Findings, suspected_classes, trigger_works
from models.recipes.probe_catalog import CHANNEL_IMAGES, REPORTED_ONLY, find_probe
from models.results.audit import ProbeResult, TransferResult, TriggerReport


def order_evidence(findings: Findings) -> tuple[str, ...]:
    """Write one line per finding, the weightiest first.

    What proves a backdoor comes before statistics, what stands out before what does not; a given trigger's
    effect that proves nothing comes behind the probes that stand out. Probes go by their calibrated p-value
    and then by what they add to the combined one, those without in the order in which they ran. Numbers that
    nothing was compared with are no evidence; the report shows them among the probes.
    """
    given = [report for report in findings.triggers if report.origin == "given"]
    working = [report for report in given if trigger_works(report, findings.hiding)]
    recovered = [report for report in findings.triggers if report.origin == "recovered"]
    suspects = suspected_classes(findings.probes)
    probes = _by_weight(findings)
    quiet = [p for p in probes if not p.conspicuous and p.probe not in REPORTED_ONLY]
    moving = {effect.trigger for effect in findings.moving}
    moved = [transfer for transfer in findings.transfers if transfer.hazard == "high"]
    return (
        *(_trigger_line(report) for report in working),
        *(effect.sentence for effect in findings.moving if effect.proven),
        *(_probe_line(probe) for probe in probes if probe.conspicuous),
        *(effect.sentence for effect in findings.moving if not effect.proven),
        *(_trigger_line(report) for report in recovered if report.target_label in suspects),
        *(_transfer_line(transfer) for transfer in moved),
        *(_probe_line(probe) for probe in quiet),
        *(
            f"{_trigger_line(report)} Searches find such patterns in clean networks too: alone it is no sign."
            for report in recovered
            if report.target_label not in suspects
        ),
        *(_transfer_line(transfer) for transfer in findings.transfers if transfer.hazard != "high"),
        *(
            f"{_trigger_line(report)} It hides most of the image, so this proves nothing."
            if report.name in findings.hiding
            else f"{_trigger_line(report)} That is too little over all classes; see what each does."
            if report.name in moving
            else f"{_trigger_line(report)} That is too little to prove a backdoor with this trigger."
            for report in given
            if report not in working
        ),
    )


def _by_weight(findings: Findings) -> list[ProbeResult]:
    driving = () if findings.calibration is None else findings.calibration.driving

    def weight(probe: ProbeResult) -> tuple[bool, float, int]:
        if probe.p_value is None or not probe.calibration_references:
            return True, 0.0, 0
        adds = driving.index(probe.probe) if probe.probe in driving else len(driving)
        return False, probe.p_value, adds

    return sorted(findings.probes, key=weight)


def _probe_line(probe: ProbeResult) -> str:
    return f"{find_probe(probe.probe).title}: {probe.summary}"


def _trigger_line(report: TriggerReport) -> str:
    rate = report.teacher_success
    who = "The trigger you gave" if report.origin == "given" else "A trigger that was recovered"
    return (
        f"{who} ({report.name}) sends {rate.value:.1%} of {rate.n} {report.image_source} to class "
        f"{report.target_label} (95 % interval {rate.low:.1%} to {rate.high:.1%}); without it "
        f"{report.clean_rate.value:.1%} go there."
    )


def _transfer_line(transfer: TransferResult) -> str:
    rate = transfer.student_success
    outcome = {
        "high": "moves to a student",
        "low": "stays below half of the images in a student",
        "not_tested": "could not be followed to a student",
    }[transfer.hazard]
    without = transfer.student_clean_rate
    doubt = ""
    if transfer.learned_too_little:
        doubt = "; the student learned too little of its teacher for its resistance to say anything"
    elif transfer.hazard == "not_tested" and without is not None and without.high >= rate.low:
        doubt = f"; without it the student sends {without.value:.1%} there, so that says nothing"
    elif transfer.hazard == "not_tested" and transfer.control_success.high >= rate.low and rate.value >= 0.5:
        doubt = ", nearly as well or better, so the trigger's success cannot be told from the control's"
    elif transfer.begun:
        doubt = (
            ", and the trigger on more images than that and than without it: longer training may move more"
        )
    elif transfer.hazard == "not_tested":
        doubt = ", and that is too little for a hazard and too much to be called harmless"
    return (
        f"{transfer.trigger} {outcome} distilled from {CHANNEL_IMAGES[transfer.channel]}: it works on "
        f"{rate.value:.1%} of {rate.n} images there (95 % interval {rate.low:.1%} to {rate.high:.1%}), on "
        f"{transfer.teacher_success.value:.1%} with the teacher; a control of the same size works on "
        f"{transfer.control_success.value:.1%}{doubt}."
    )
