"""Make each network of the population, ask it every probe with and without clean images, keep the answers.

    python -m benchmarks.population.measure [--part test] [--only wrn-10-1] [--threads 1]
    python -m benchmarks.population.measure --inverted    # without clean images twice, in a store of its own

Goes on where it was; two processes may share the store if ``--only`` gives them different networks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.population.members import Member, members
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.lab.data import LabData, load_lab_data
from models.lab.json_lines import append_line, read_lines
from models.lab.recipe_digest import digest
from models.lab.teachers import make_teacher
from models.probes.audit import SCORED
from models.probes.audit_run import begin
from models.probes.calibration.conditions import SCORING_VERSION, conditions_of
from models.probes.calibration.reference_set import Conditions
from models.probes.further import further_probes
from models.recipes.architecture import ArchitectureSpec
from models.recipes.job import Recipe
from models.recipes.ood import OodRecipe
from models.recipes.probe import ProbeRecipe
from models.results.audit import ProbeResult

STORE = Path(__file__).resolve().parents[1] / "measured" / "population-digits.jsonl"
INVERTED_STORE = STORE.with_name("population-inverted-digits.jsonl")
#: Clean images of an audit of tier 1: from the test half, which trained nothing.
CLEAN_IMAGES = 200
SIDE = 16
RECIPE = Recipe(probe=ProbeRecipe(budget="standard", transfer=False), ood=OodRecipe(patch_style="strokes"))
#: What every network is asked with: the usual tiers, or two ways of having no images, on the same networks.
TIERS, INVERTED_TIERS = ("tier 0", "tier 1"), ("tier 0", "tier 0, inverted")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", default="", help="calibration, tuning or test")
    parser.add_argument("--only", default="", help="only networks in whose name this occurs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--inverted", action="store_true", help="compare patches with inverted images")
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    tiers = INVERTED_TIERS if options.inverted else TIERS
    store = options.store or (INVERTED_STORE if options.inverted else STORE)
    torch.set_num_threads(options.threads)
    data = load_lab_data("digits", None, size=SIDE)
    done = {(entry["name"], entry["made_of"]) for entry in read_lines(store)}
    for member in members():
        wanted = member.part.startswith(options.part) and options.only in member.name
        if wanted and (member.name, made_of(member)) not in done:
            entry = measure(member, data, tiers)
            append_line(store, entry)
            print(
                f"{member.name}  {entry['accuracy']:.3f}  {entry['success']}  {entry['seconds']:.0f} s",
                flush=True,
            )


def given(images: Tensor, tier: str) -> AuditData:
    """Return what the audits of a tier are given, from clean images (N, 3, S, S)."""
    return AuditData(images=images[:CLEAN_IMAGES]) if tier == "tier 1" else AuditData()


def recipe_of(tier: str) -> Recipe:
    """Return the recipe of a tier's audits, but for the seed."""
    if tier != "tier 0, inverted":
        return RECIPE
    return replace(RECIPE, probe=replace(RECIPE.probe, surrogates="inverted"))


def conditions(architecture: str, tier: str) -> Conditions:
    """Return under which conditions the networks of an architecture were asked."""
    audited = given(torch.zeros(CLEAN_IMAGES, 3, SIDE, SIDE, dtype=torch.uint8), tier)
    return conditions_of(ArchitectureSpec(architecture, 10, SIDE), audited, recipe_of(tier))


def made_of(member: Member) -> str:
    """Return the digest of how the network is trained and asked; a change of either measures it anew."""
    return digest([member.recipe, RECIPE, CLEAN_IMAGES, SCORING_VERSION])


def measure(member: Member, data: LabData, tiers: Sequence[str]) -> dict[str, Any]:
    """Make a network and ask it in every tier."""
    started = time.monotonic()
    made = make_teacher(member.recipe, data.training, data.test, monitor=SilentMonitor())
    return {
        "name": member.name,
        "part": member.part,
        "kind": member.kind,
        "architecture": member.recipe.architecture,
        "seed": member.recipe.seed,
        "target": None if made.trigger is None else member.recipe.attack.target_label,
        "poison_rate": None if made.trigger is None else member.recipe.attack.poison_rate,
        "accuracy": made.clean_accuracy.value,
        "success": None if made.attack_success is None else made.attack_success.value,
        "made_of": made_of(member),
        **{tier: ask(made.teacher, data.test.images, tier, member.recipe.seed) for tier in tiers},
        "seconds": round(time.monotonic() - started, 2),
    }


def ask(teacher: Teacher, images: Tensor, tier: str, seed: int) -> dict[str, Any]:
    """Run every probe that gives a number, as an audit of that tier does, and return the answers."""
    recipe = replace(recipe_of(tier), seed=seed)
    started = time.monotonic()
    with begin(teacher, given(images, tier), (), recipe, SilentMonitor()) as audit:
        for part in SCORED:
            part(audit)
        counted = list(audit.probes)
        further = further_probes(audit, SilentMonitor())
    return {
        "failures": audit.failures,
        "counted": [probe.probe for probe in counted],
        "probes": answers(counted, by_class=True) | answers(further, by_class=False),
        "seconds": round(time.monotonic() - started, 2),
    }


def answers(probes: Sequence[ProbeResult], *, by_class: bool) -> dict[str, dict[str, Any]]:
    """Return what the verdict is made of, to six digits; classes only where they are compared one by one."""
    return {
        probe.probe: {
            "statistic": None if probe.statistic is None else rounded(probe.statistic),
            "target_label": probe.target_label,
            "conspicuous": probe.conspicuous,
            "nothing_won": probe.nothing_won,
            "class_scores": [rounded(score) for score in probe.class_scores] if by_class else [],
        }
        for probe in probes
    }


def rounded(value: float) -> float:
    """Keep six significant digits."""
    return float(f"{value:.6g}")


if __name__ == "__main__":
    main()
