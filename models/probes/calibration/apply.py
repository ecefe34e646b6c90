"""Put the probes' scores beside those of clean reference networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.probes.calibration.choose import choose_set
from models.probes.calibration.combine import Combined, combine
from models.probes.calibration.conformal import ALPHA, false_positive_band, fewest_references
from models.probes.calibration.reference_set import Conditions, ReferenceSet
from models.recipes.probe_catalog import find_probe
from models.results.audit import ProbeResult
from models.results.calibration import CalibrationResult


def calibrate(
    probes: Sequence[ProbeResult], conditions: Conditions, sets: Sequence[ReferenceSet]
) -> tuple[list[ProbeResult], CalibrationResult]:
    """Give every probe its calibrated p-value, and all of them one.

    Where there are enough references they rule: a probe is conspicuous if it drives a combined p-value of at
    most alpha, whatever its own mark says. With fewer, the marks stay. A probe without a score here is left
    out of the references' combined scores too; one that the set does not know keeps its mark.

    Args:
        probes: In the order in which they ran.
        conditions: Under which they did.
        sets: To choose from.

    Returns:
        The probes, in the same order, and the result.
    """
    choice = choose_set(conditions, sets)
    if choice.found is None:
        return list(probes), CalibrationResult(choice.reason, ALPHA)
    known = [probe for probe in probes if probe.probe in choice.found.probes and probe.statistic is not None]
    if not known:
        reason = f"No probe gave a score that the reference set {choice.found.name} has."
        return list(probes), CalibrationResult(reason, ALPHA)
    references = choice.found.references
    combined = combine(
        np.array([probe.statistic for probe in known], dtype=np.float64),
        np.array([[entry.scores[probe.probe] for probe in known] for entry in references]),
    )
    result = CalibrationResult(
        sentence=_sentence(choice.found, known, combined, choice.reason),
        alpha=ALPHA,
        name=choice.found.name,
        sha256=choice.found.sha256,
        references=len(references),
        probes=tuple(probe.probe for probe in known),
        driving=tuple(known[place].probe for place in combined.driving),
        p_value=combined.p_value,
        band=false_positive_band(len(references)),
    )
    p_values = dict(zip(result.probes, combined.per_probe, strict=True))
    return [
        _with_p_value(probe, p_values[probe.probe], result) if probe in known else probe for probe in probes
    ], result


def _with_p_value(probe: ProbeResult, p_value: float, result: CalibrationResult) -> ProbeResult:
    n = result.references
    if result.decides:
        assert result.p_value is not None  # noqa: S101 - what `decides` means
        conspicuous = result.p_value <= result.alpha and probe.probe in result.driving
    else:
        conspicuous = probe.conspicuous
    summary = f"{probe.summary} {_as_high(p_value, n)} at least as high (p = {p_value:.3f})."
    return replace(probe, summary=summary, p_value=p_value, calibration_references=n, conspicuous=conspicuous)


def _as_high(p_value: float, n: int) -> str:
    count = round(p_value * (n + 1)) - 1
    return f"Of {n} clean reference networks {count or 'none'} {'scores' if count == 1 else 'score'}"


def _sentence(found: ReferenceSet, known: Sequence[ProbeResult], combined: Combined, reservation: str) -> str:
    """Say what the comparison found, and where it overrules the marks or cannot."""
    n, p_value = len(found.references), combined.p_value
    titles = ", ".join(find_probe(probe.probe).title.lower() for probe in known)
    lines = [f"{_as_high(p_value, n)} as high in all ({titles}): p = {p_value:.3f}."]
    lines += [reservation] if reservation else []
    marked = [find_probe(probe.probe).title.lower() for probe in known if probe.conspicuous]
    if false_positive_band(n) is None:
        lines.append(
            f"A detection at {ALPHA:.0%} takes at least {fewest_references()} references, there are {n}: "
            "the probes' own marks, to which no false-positive rate belongs, decide."
        )
    elif p_value > ALPHA and marked:
        lines.append(
            f"By the published kind of mark {', '.join(marked)} would be conspicuous; clean networks look so "
            "too, and the comparison with them rules."
        )
    elif p_value <= ALPHA and not marked:
        lines.append("By their own marks no probe would be conspicuous; the comparison rules.")
    return " ".join(lines)
