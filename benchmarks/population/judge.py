"""The product's verdict on every network of the population, from its stored scores.

Nothing here trains or probes: calibration networks become reference sets, and the code that decides in an
audit (``models.probes.calibration.apply``, ``models.probes.verdict``) decides here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.population.measure import INVERTED_TIERS, TIERS, conditions
from models.probes.calibration.apply import calibrate
from models.probes.calibration.combine import squared_excess
from models.probes.calibration.profile import class_profile
from models.probes.calibration.reference_set import Reference, ReferenceSet
from models.probes.findings import Findings
from models.probes.verdict import decide
from models.results.audit import ProbeResult

Entry = Mapping[str, Any]
#: What the references' classes are.
TASK = "digits"
#: From this success on an attack took; what did not take is no backdoor, and reported apart.
TOOK = 0.8


@dataclass(frozen=True)
class Judged:
    """What an audit would say of one network."""

    entry: Entry
    tier: str
    by_class: bool
    """Whether the audit named the task, so that classes were compared one by one."""
    word: str
    named: int | None
    p_value: float
    combined: float
    """The audit's score: larger is more conspicuous, and finer than ranks."""
    single: dict[str, float]
    """Each probe by itself, those that do not count among them: squared excess over the references."""

    @property
    def backdoored(self) -> bool:
        """Whether the attack took."""
        return self.entry["success"] is not None and self.entry["success"] >= TOOK

    @property
    def right(self) -> bool:
        """Whether the backdoor's own class was named."""
        return self.named is not None and self.named == self.entry["target"]


def reference_sets(entries: Iterable[Entry], tier: str) -> dict[str, ReferenceSet]:
    """Make the references of every architecture, with all probes that gave a number on all of them."""
    grouped: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry["part"] == "calibration":
            grouped.setdefault(entry["architecture"], []).append(entry)
    sets = {}
    for architecture, members in grouped.items():
        references = tuple(
            Reference(
                sha256=member["name"],
                kind=member["kind"],
                note=member["name"],
                scores=scores_of(member[tier], counted_only=True),
                profiles={probe.probe: class_profile(probe) for probe in probes_of(member[tier])},
            )
            for member in members
        )
        probes = tuple(references[0].scores)
        sets[architecture] = ReferenceSet(
            architecture, conditions(architecture, tier), probes, references, TASK
        )
    return sets


def scores_of(answer: Mapping[str, Any], *, counted_only: bool) -> dict[str, float]:
    """Return the numbers of an audit by probe."""
    return {
        name: probe["statistic"]
        for name, probe in answer["probes"].items()
        if probe["statistic"] is not None and (not counted_only or name in answer["counted"])
    }


def probes_of(answer: Mapping[str, Any]) -> list[ProbeResult]:
    """Return an audit's answers as the probes gave them, those that count first."""
    names = [*answer["counted"], *(name for name in answer["probes"] if name not in answer["counted"])]
    return [
        ProbeResult(
            probe=name,
            summary="",
            target_label=probe["target_label"],
            statistic=probe["statistic"],
            conspicuous=probe["conspicuous"],
            class_scores=tuple(probe["class_scores"]),
            nothing_won=probe["nothing_won"],
        )
        for name, probe in ((name, answer["probes"][name]) for name in names)
    ]


def judge(
    entry: Entry, tier: str, found: ReferenceSet, references: Sequence[Entry], *, by_class: bool
) -> Judged:
    """Decide as an audit does.

    Args:
        entry: Of the network.
        tier: One of those that the network was asked in.
        found: The references' counted scores.
        references: Their entries, for the probes that do not count.
        by_class: Name the task.
    """
    answer = entry[tier]
    probes = probes_of(answer)
    counted, further = probes[: len(answer["counted"])], probes[len(answer["counted"]) :]
    counted, calibration = calibrate(counted, found.conditions, [found], TASK if by_class else None)
    verdict = decide(
        Findings((*counted, *further), (), (), tuple(answer["failures"]), frozenset(), calibration)
    )
    own = scores_of(answer, counted_only=False)
    theirs = [scores_of(reference[tier], counted_only=False) for reference in references]
    single = {
        name: float(squared_excess(np.array([[each[name]] for each in [*theirs, own]]))[-1, 0])
        for name in own
        if all(name in each for each in theirs)
    }
    assert calibration.p_value is not None
    assert calibration.score is not None
    return Judged(
        entry,
        tier,
        by_class,
        verdict.word,
        verdict.target_label,
        calibration.p_value,
        calibration.score,
        single,
    )


def judge_all(entries: Sequence[Entry], part: str) -> list[Judged]:
    """Judge every network of one part in all tiers of the store, with and without the task."""
    judged = []
    for tier in dict.fromkeys((*TIERS, *INVERTED_TIERS)):
        if not all(tier in entry for entry in entries):
            continue
        sets = reference_sets(entries, tier)
        for entry in entries:
            if entry["part"] != part or entry["architecture"] not in sets:
                continue
            references = [
                other
                for other in entries
                if other["part"] == "calibration" and other["architecture"] == entry["architecture"]
            ]
            found = sets[entry["architecture"]]
            judged += [judge(entry, tier, found, references, by_class=by_class) for by_class in (True, False)]
    return judged
