"""Print the tables of docs/evaluation.md.

python -m benchmarks.population.page [--part test|tuning|adaptive] [--write docs/evaluation.md]
python -m benchmarks.population.page --inverted [--part test|tuning] [--write docs/evaluation.md]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.population.judge import TOOK, Entry, Judged, judge_all
from benchmarks.population.measure import INVERTED_STORE, STORE
from benchmarks.population.members import BLIND
from benchmarks.population.statistics import auroc, auroc_interval, rate_text
from models.lab.json_lines import read_lines
from models.lab.reproduction.page import put_section
from models.probes.calibration.conformal import ALPHA, false_positive_band

WORDS = ("detected", "suspected", "inconclusive", "not_detected")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", default="test", choices=["test", "tuning", "adaptive"])
    parser.add_argument("--inverted", action="store_true", help="patches beside inverted images")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--write", type=Path, help="page whose section is replaced")
    options = parser.parse_args()
    store = options.store or (INVERTED_STORE if options.inverted else STORE)
    text = render(list(read_lines(store)), options.part)
    print(text)
    if options.write is not None:
        section = f"population {'inverted ' if options.inverted else ''}{options.part}"
        options.write.write_text(put_section(options.write.read_text(), section, text))


def render(entries: Sequence[Entry], part: str) -> str:
    """Return the tables of a part; those who know the probes stand against the test part's clean ones."""
    judged = judge_all(entries, part)
    lines = [_population(entries, part), ""]
    if part == "adaptive":
        clean = [each for each in judge_all(entries, "test") if each.entry["success"] is None]
        lines += [*_by_attack([each for each in [*clean, *judged] if each.by_class]), ""]
        lines += [*_single_probes([*clean, *judged]), ""]
        return "\n".join(lines)
    lines += [*_overall(judged), ""]
    named = [each for each in judged if each.by_class]
    for table in (_by_attack, _by_kind, _by_probe):
        lines += [*table(named), ""]
    return "\n".join(lines)


def _population(entries: Sequence[Entry], part: str) -> str:
    references = [entry for entry in entries if entry["part"] == "calibration"]
    own = [entry for entry in entries if entry["part"] == part]
    attacked = [entry for entry in own if entry["success"] is not None]
    took = sum(entry["success"] >= TOOK for entry in attacked)
    seconds = sum(entry["seconds"] for entry in [*references, *own])
    return (
        f"{len(references)} references, {len(own) - len(attacked)} clean networks, "
        f"{len(attacked)} attacked ones; {took} of these have an attack success of {TOOK} or more. "
        f"{seconds / 3600:.1f} h of one core."
    )


def _tiers(judged: Sequence[Judged]) -> list[str]:
    return list(dict.fromkeys(each.tier for each in judged))


def _columns(judged: Sequence[Judged], *names: str) -> list[str]:
    """Return the first two lines of a table with a column for every tier behind those that are named."""
    columns = [*names, *_tiers(judged)]
    return [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]


def _split(judged: Sequence[Judged], tier: str, *, by_class: bool) -> tuple[list[Judged], list[Judged]]:
    """Return clean networks, and those with a working backdoor to a single target."""
    own = [each for each in judged if each.tier == tier and each.by_class == by_class]
    clean = [each for each in own if each.entry["success"] is None]
    return clean, [each for each in own if each.backdoored and each.entry["kind"] not in BLIND]


def _rates(clean: Sequence[Judged], bad: Sequence[Judged]) -> list[str]:
    low, high = auroc_interval([each.combined for each in bad], [each.combined for each in clean])
    area = auroc([each.combined for each in bad], [each.combined for each in clean])
    return [
        f"{area:.3f} [{low:.3f}, {high:.3f}]",
        rate_text(sum(each.word == "detected" and each.right for each in bad), len(bad)),
        rate_text(sum(each.p_value <= ALPHA for each in bad), len(bad)),
        rate_text(sum(each.p_value <= ALPHA for each in clean), len(clean)),
        rate_text(sum(each.word == "detected" for each in clean), len(clean)),
    ]


_HEAD = "AUROC | `detected`, right class | p ≤ .05 | clean: p ≤ .05 | clean: `detected` |"
_COMPARED = {True: "class by class", False: "largest class"}


def _overall(judged: Sequence[Judged]) -> list[str]:
    band = false_positive_band(19)
    assert band is not None
    return [
        "Single-target attacks against clean networks. Each set of 19 references has a false-positive rate",
        f"of its own, within {band[0]:.3f} to {band[1]:.3f} with probability .9. The score under AUROC is",
        "comparable within one set only: rows of one architecture have one, `all` and the tables below pool",
        "those of several as if their scales agreed. The other columns need no common scale.",
        "",
        f"| networks | tier | compared | {_HEAD}",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *_rows(judged, "all"),
        *(
            row
            for name in dict.fromkeys(each.entry["architecture"] for each in judged)
            for row in _rows([each for each in judged if each.entry["architecture"] == name], name)
        ),
    ]


def _rows(judged: Sequence[Judged], name: str) -> list[str]:
    lines = []
    for tier in _tiers(judged):
        for by_class, words in _COMPARED.items():
            clean, bad = _split(judged, tier, by_class=by_class)
            if clean and bad:
                lines.append(f"| {name} | {tier} | {words} | {' | '.join(_rates(clean, bad))} |")
    return lines


def _by_attack(judged: Sequence[Judged]) -> list[str]:
    lines = [
        "By attack, class by class. *Wrong* is `detected` with another class than the attacker's; AUROC",
        "against all clean networks, pooled over the sets.",
        "",
        "| attack | tier | took | AUROC | `detected`, right | wrong | "
        "`suspected` | `inconclusive` | `not_detected` |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    kinds = dict.fromkeys(each.entry["kind"] for each in judged if each.entry["success"] is not None)
    for kind in sorted(kinds, key=lambda name: (name in BLIND, name)):
        for tier in _tiers(judged):
            own = [each for each in judged if each.entry["kind"] == kind and each.tier == tier]
            took = [each for each in own if each.backdoored]
            clean = [each for each in judged if each.tier == tier and each.entry["success"] is None]
            area = "—"
            if took and clean:
                area = f"{auroc([e.combined for e in took], [e.combined for e in clean]):.2f}"
            right = sum(each.word == "detected" and each.right for each in took)
            counts = [sum(each.word == word for each in took) for word in WORDS]
            lines.append(
                f"| {kind} | {tier} | {len(took)} of {len(own)} | {area} | {right} | {counts[0] - right} | "
                f"{counts[1]} | {counts[2]} | {counts[3]} |"
            )
    return lines


def _by_kind(judged: Sequence[Judged]) -> list[str]:
    lines = [
        "Clean networks by what was done to them, class by class: p ≤ .05.",
        "",
        *_columns(judged, "kind"),
    ]
    clean = [each for each in judged if each.entry["success"] is None]
    for kind in sorted({each.entry["kind"] for each in clean}):
        cells = []
        for tier in _tiers(judged):
            own = [each for each in clean if each.entry["kind"] == kind and each.tier == tier]
            cells.append(f"{sum(each.p_value <= ALPHA for each in own)} of {len(own)}")
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return lines


def _single_probes(judged: Sequence[Judged]) -> list[str]:
    """Return the area of every probe that counts, attack by attack."""
    clean = [each for each in judged if each.entry["success"] is None]
    kinds = dict.fromkeys(each.entry["kind"] for each in judged if each.entry["success"] is not None)
    lines = [
        "AUROC of the probes that count, each by itself (largest class), against the same clean networks:",
        "",
        *_columns(judged, "attack", "probe"),
    ]
    for kind in kinds:
        own = [each for each in judged if each.entry["kind"] == kind and each.backdoored]
        for probe in own[0].entry[_tiers(judged)[0]]["counted"] if own else ():
            cells = [_area(own, clean, probe, tier) for tier in _tiers(judged)]
            lines.append(f"| {kind} | {probe} | {' | '.join(cells)} |")
    return lines


def _area(bad: Sequence[Judged], clean: Sequence[Judged], probe: str, tier: str) -> str:
    found, harmless = (
        [each.single[probe] for each in group if each.tier == tier and each.by_class and probe in each.single]
        for group in (bad, clean)
    )
    return f"{auroc(found, harmless):.3f}" if found and harmless else "—"


def _by_probe(judged: Sequence[Judged]) -> list[str]:
    lines = [
        "AUROC of each probe by itself (largest class, in units of the references' spread), all networks:",
        "",
        *_columns(judged, "probe"),
    ]
    for probe in dict.fromkeys(name for each in judged for name in each.single):
        cells = []
        for tier in _tiers(judged):
            clean, bad = _split(judged, tier, by_class=True)
            cells.append(_area(bad, clean, probe, tier))
        lines.append(f"| {probe} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
