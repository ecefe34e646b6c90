"""Put held-out WRN-10-2 of digits beside the sets that come with Proctor for them, budget ``quick``.

    python -m benchmarks.population.shipped_sets               # networks that are not in the store yet
    python -m benchmarks.population.shipped_sets --summary     # the table of docs/evaluation.md

Twenty clean networks, made as the references were but from other seeds, and one of every attack of the
population. Each is asked on patches, on images inverted from it and on 200 clean images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from benchmarks.population.members import ATTACKS, BLIND, Member, attacked
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.lab.calibration.variants import variants
from models.lab.data import LabData, load_lab_data
from models.lab.json_lines import append_line, read_lines
from models.lab.teachers import make_teacher
from models.metrics.intervals import wilson
from models.probes.audit import run_scored_probes
from models.probes.calibration.apply import calibrate
from models.probes.calibration.conditions import conditions_of
from models.probes.calibration.read_set import shipped_sets
from models.probes.findings import suspected_classes
from models.recipes.job import Recipe
from models.recipes.lab import digits_recipe
from models.recipes.ood import OodRecipe
from models.recipes.probe import ProbeRecipe, Surrogates

STORE = Path(__file__).resolve().parents[1] / "measured" / "shipped-sets-digits.jsonl"
CLEAN_SEED, CLEAN, SIDE, IMAGES, LEAST_SUCCESS = 500, 20, 16, 200, 0.8
TIERS: Mapping[str, Surrogates] = {
    "patches": "patches",
    "inverted images": "inverted",
    "clean images": "auto",
}
#: How classes are compared: one by one, or the largest.
COMPARED: Mapping[str, str | None] = {"class by class": "digits", "largest class": None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not options.summary:
        data = load_lab_data("digits", None, size=SIDE)
        done = {entry["name"] for entry in read_lines(options.store)}
        for member in (member for member in members() if member.name not in done):
            entry = measure(member, data)
            append_line(options.store, entry)
            print(f"{member.name}  {entry['accuracy']:.3f}  {entry['success']}", flush=True)
    print(summary(list(read_lines(options.store))))


def members() -> Iterator[Member]:
    """Yield the held-out networks; none of their seeds is a reference's."""
    base = replace(digits_recipe(), architecture="wrn-10-2")
    for variant in variants(base, CLEAN, CLEAN_SEED):
        yield Member("test", variant.kind, variant.recipe)
    yield from islice(attacked("test", base, shift=0), len(ATTACKS))


def measure(member: Member, data: LabData) -> dict[str, Any]:
    """Make a network and ask it on every sort of images."""
    started = time.monotonic()
    made = make_teacher(member.recipe, data.training, data.test, monitor=SilentMonitor())
    entry: dict[str, Any] = {
        "name": member.name,
        "kind": member.kind,
        "target": None if made.trigger is None else member.recipe.attack.target_label,
        "accuracy": made.clean_accuracy.value,
        "success": None if made.attack_success is None else made.attack_success.value,
    }
    for tier, surrogates in TIERS.items():
        given = AuditData(images=data.test.images[:IMAGES]) if tier == "clean images" else AuditData()
        recipe = Recipe(
            probe=ProbeRecipe(budget="quick", surrogates=surrogates),
            ood=OodRecipe(patch_style="strokes"),
            seed=member.recipe.seed,
        )
        probes, failures = run_scored_probes(made.teacher, given, recipe, SilentMonitor())
        conditions = conditions_of(made.teacher.spec, given, recipe)
        entry[tier] = {"failures": failures}
        for compared, task in COMPARED.items():
            judged, result = calibrate(probes, conditions, shipped_sets(), task)
            entry[tier][compared] = {"p": result.p_value, "classes": suspected_classes(judged)}
    return {**entry, "seconds": round(time.monotonic() - started, 1)}


def summary(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the table: how many have p ≤ .05, with Wilson intervals, and which attacks were missed."""
    clean = [entry for entry in entries if entry["target"] is None]
    took = [entry for entry in entries if (entry["success"] or 0) >= LEAST_SUCCESS]
    single = [entry for entry in took if entry["kind"] not in BLIND]
    lines = [
        f"{len(clean)} clean networks, {len(single)} with a single-target backdoor that took.",
        "",
        "| asked on | compared | clean: p ≤ .05 | backdoored: p ≤ .05, right class | missed |",
        "| --- | --- | --- | --- | --- |",
    ]
    for tier in TIERS:
        for compared in COMPARED:
            alarms = sum(entry[tier][compared]["p"] <= 0.05 for entry in clean)
            missed = [entry["kind"] for entry in single if not _found(entry, tier, compared)]
            found = len(single) - len(missed)
            rates = f"{_rate(alarms, len(clean))} | {_rate(found, len(single))}"
            lines.append(f"| {tier} | {compared} | {rates} | {', '.join(missed)} |")
    return "\n".join(lines)


def _found(entry: Mapping[str, Any], tier: str, compared: str) -> bool:
    answer = entry[tier][compared]
    return answer["p"] <= 0.05 and answer["classes"] == [entry["target"]]


def _rate(hits: int, n: int) -> str:
    interval = wilson(hits, n)
    return f"{hits}/{n} [{interval.low:.2f}, {interval.high:.2f}]"


if __name__ == "__main__":
    main()
