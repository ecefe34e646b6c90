"""Put the probes' scores beside those of clean reference networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.probes.calibration.choose import choose_set
from models.probes.calibration.combine import Combined, combine
from models.probes.calibration.conformal import ALPHA, false_positive_band, fewest_references
from models.probes.calibration.profile import class_excess, class_profile
from models.probes.calibration.reference_set import Conditions, Reference, ReferenceSet
from models.probes.findings import listed
from models.recipes.probe_catalog import find_probe
from models.results.audit import ProbeResult
from models.results.calibration import CalibrationResult

#: Quantiles between which the report shows what references do.
_BAND = (0.05, 0.95)


@dataclass(frozen=True)
class _Column:
    """One probe's scores, of the audited network and of the references."""

    probe: ProbeResult
    own: float
    references: tuple[float, ...]
    by_class: bool = False
    """Whether classes were compared one by one; scores are then excesses."""


def calibrate(
    probes: Sequence[ProbeResult],
    conditions: Conditions,
    sets: Sequence[ReferenceSet],
    task: str | None = None,
    *,
    own_sha256: str | None = None,
) -> tuple[list[ProbeResult], CalibrationResult]:
    """Give every probe its calibrated p-value, and all of them one.

    Where there are enough references they rule: a probe is conspicuous if it drives a combined p-value of at
    most alpha, whatever its own mark says. With fewer, the marks stay. A probe without a score here is left
    out of the references' combined scores too; one that the set does not know keeps its mark. A set of
    another task than the one that was named does not fit. With a set of the same task, classes are compared
    one by one, and a probe points at the one that stands out so. A set that holds the audited network itself
    is used without it: compared with its own scores, it would look more ordinary than it is.

    Args:
        probes: In the order in which they ran.
        conditions: Under which they did.
        sets: To choose from.
        task: What the network's classes are, if that was said.
        own_sha256: Of the network's canonical weights, if known.

    Returns:
        The probes, in the same order, and the result.
    """
    without = [_without(found, own_sha256) for found in sets]
    choice = choose_set(conditions, [others for others in without if others.references], task)
    if choice.found is None:
        return list(probes), CalibrationResult(choice.reason, ALPHA)
    known = _columns(probes, choice.found, task)
    if not known:
        reason = f"No probe gave a score that the reference set {choice.found.name} has."
        return list(probes), CalibrationResult(reason, ALPHA)
    whole = next(found for found, others in zip(sets, without, strict=True) if others is choice.found)
    columns = list(known.values())
    combined = combine(
        np.array([column.own for column in columns], dtype=np.float64),
        np.array([column.references for column in columns], dtype=np.float64).T,
    )
    reservations = (choice.reason, _itself(whole, choice.found), _by_class(columns, choice.found, task))
    result = CalibrationResult(
        sentence=_sentence(choice.found, [column.probe for column in columns], combined, reservations),
        alpha=ALPHA,
        name=whole.name,
        sha256=whole.sha256,
        references=len(choice.found.references),
        probes=tuple(column.probe.probe for column in columns),
        driving=tuple(columns[place].probe.probe for place in combined.driving),
        p_value=combined.p_value,
        score=combined.score,
        band=false_positive_band(len(choice.found.references)),
        task=task if any(column.by_class for column in columns) else None,
    )
    judged = list(probes)
    for (place, column), p_value in zip(known.items(), combined.per_probe, strict=True):
        judged[place] = _with_p_value(probes[place], column, p_value, result)
    return judged, result


def _columns(probes: Sequence[ProbeResult], found: ReferenceSet, task: str | None) -> dict[int, _Column]:
    """Take the scores of all probes that the set knows, by their place."""
    by_class = task is not None and found.task == task
    return {
        place: _column(probe, found.references, by_class=by_class)
        for place, probe in enumerate(probes)
        if probe.probe in found.probes and probe.statistic is not None
    }


def _column(probe: ProbeResult, references: Sequence[Reference], *, by_class: bool) -> _Column:
    """Take a probe's scores, class by class where every network has a profile."""
    assert probe.statistic is not None  # noqa: S101 - asked by the caller
    profiles = [reference.profiles.get(probe.probe, ()) for reference in references]
    own = class_profile(probe) if by_class else ()
    if not own or any(len(profile) != len(own) for profile in profiles):
        return _Column(probe, probe.statistic, tuple(entry.scores[probe.probe] for entry in references))
    excess, classes = class_excess(np.array([*profiles, own]))
    low, high = np.quantile(np.array(profiles), _BAND, axis=0).tolist()
    named = replace(
        probe,
        target_label=int(classes[-1]) if probe.answered else None,
        class_profile=own,
        class_band=tuple(zip(low, high, strict=True)),
    )
    return _Column(named, float(excess[-1]), tuple(excess[:-1].tolist()), by_class=True)


def _without(found: ReferenceSet, sha256: str | None) -> ReferenceSet:
    """Leave one network out of a set; the set itself where it is not in there."""
    others = tuple(reference for reference in found.references if reference.sha256 != sha256)
    return found if len(others) == len(found.references) else replace(found, references=others)


def _itself(whole: ReferenceSet, compared: ReferenceSet) -> str:
    if compared is whole:
        return ""
    return (
        f"The set has {len(whole.references)} networks, and this one is among them (by SHA-256): it was left "
        "out of the comparison."
    )


def _by_class(columns: Sequence[_Column], found: ReferenceSet, task: str | None) -> str:
    """Say which classes were compared with the same class of the references, where a task was named."""
    if task is None:
        return ""
    if found.task != task:
        return (
            f"The task {task} was named, but the reference set names none: classes were not compared one by "
            "one."
        )
    total = found.conditions.num_classes
    one_by_one = [_title(column.probe) for column in columns if column.by_class]
    lines = []
    if one_by_one:
        lines.append(
            f"By {listed(one_by_one)} all {total} classes were compared with the same class of the "
            f"references (task {task})."
        )
    for probe in (column.probe for column in columns if not column.by_class):
        compared = len(probe.class_scores) or min(total, found.conditions.effort["scanned_classes"])
        lines.append(
            f"By {_title(probe)} none was: {compared} of the {total} classes were compared with each other."
        )
    return " ".join(lines)


def _title(probe: ProbeResult) -> str:
    return find_probe(probe.probe).title.lower()


def _with_p_value(
    asked: ProbeResult, column: _Column, p_value: float, result: CalibrationResult
) -> ProbeResult:
    """Add what the comparison says; where it does not decide, mark and class stay those of the mark."""
    probe, n = column.probe, result.references
    if result.decides:
        assert result.p_value is not None  # noqa: S101 - what `decides` means
        conspicuous = result.p_value <= result.alpha and probe.probe in result.driving
        label = probe.target_label
    else:
        conspicuous, label = asked.conspicuous, asked.target_label
    lines = [probe.summary]
    if column.by_class and probe.answered:
        lines.append(
            f"Beside the same classes of the references class {probe.target_label} stands out most, by a "
            f"factor of {math.exp(column.own):.2f}."
        )
    lines.append(f"{_as_high(p_value, n)} at least as high (p = {p_value:.3f}).")
    return replace(
        probe,
        target_label=label,
        summary=" ".join(lines),
        p_value=p_value,
        calibration_references=n,
        conspicuous=conspicuous,
    )


def _as_high(p_value: float, n: int) -> str:
    count = round(p_value * (n + 1)) - 1
    return f"Of {n} clean reference networks {count or 'none'} {'scores' if count == 1 else 'score'}"


def _sentence(
    found: ReferenceSet, known: Sequence[ProbeResult], combined: Combined, reservations: Sequence[str]
) -> str:
    """Say what the comparison found, and where it overrules the marks or cannot."""
    n, p_value = len(found.references), combined.p_value
    titles = ", ".join(_title(probe) for probe in known)
    lines = [f"{_as_high(p_value, n)} as high in all ({titles}): p = {p_value:.3f}."]
    lines += [reservation for reservation in reservations if reservation]
    silent = [find_probe(probe.probe).title for probe in known if not probe.answered]
    lines += [f"{title} gave no answer and counts as unremarkable." for title in silent]
    marked = [_title(probe) for probe in known if probe.conspicuous]
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
    elif p_value <= ALPHA and not any(known[place].conspicuous for place in combined.driving):
        driving = ", ".join(_title(known[place]) for place in combined.driving)
        lines.append(f"By its own mark {driving} would not be conspicuous; the comparison rules.")
    return " ".join(lines)
