"""Nasty, backdoored and harmless networks asked both questions: a backdoor? ruinous to learn from?

    python -m benchmarks.population.nasty [--only nasty_04] [--threads 1]   # goes on where it was
    python -m benchmarks.population.nasty --write docs/evaluation.md        # prints the table, asks nothing

WRN-10-1 on digits at 16x16. The backdoor's verdict is that of tier 1, with the references of the population
(``measure``); the nasty one is that of budget ``thorough``, whose students learn from the training images,
but for the temperatures that are only shown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.population import measure
from benchmarks.population.judge import Entry, judge, reference_sets
from benchmarks.population.statistics import rate_text
from models.attacks.poison import poison_dirty_label
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.distillation.nasty.owner_images import ProtectionSplit
from models.distillation.nasty.protection import protect
from models.engine.frozen import frozen
from models.engine.monitor import SilentMonitor
from models.engine.seed import make_generator
from models.lab.data import LabData, load_lab_data
from models.lab.json_lines import append_line, read_lines
from models.lab.recipe_digest import digest
from models.lab.reproduction.page import put_section
from models.lab.teachers import make_teacher
from models.metrics import accuracy, attack_success
from models.probes.probe_images import probe_images
from models.probes.undistillable.paired_students import STUDENT_EFFORTS, paired_students
from models.probes.undistillable.questions import ask_undistillable
from models.probes.undistillable.weigh_students import by_students, harms_students
from models.recipes.lab import AttackRecipe, TeacherRecipe, digits_recipe
from models.recipes.protect import ProtectRecipe
from models.results.undistillable import PairedStudents, UndistillableResult
from models.triggers import Trigger
from models.triggers.catalog import make_trigger

STORE = measure.STORE.with_name("nasty-digits.jsonl")
ARCHITECTURE, TIER = "wrn-10-1", "tier 1"
#: As budget ``thorough`` has it, at the judged temperature alone: the students are the same.
EFFORT = replace(STUDENT_EFFORTS["thorough"], temperatures=(STUDENT_EFFORTS["thorough"].judged,))
SEEDS = range(3_000, 3_008)


@dataclass(frozen=True)
class Kind:
    """How a network comes about."""

    recipe: TeacherRecipe
    protection: ProtectRecipe | None = None
    poisoned: bool = False
    """Whether protection goes on with the poisoned images: on clean ones it washes a backdoor out."""


_PLAIN = replace(digits_recipe(), architecture=ARCHITECTURE)
_BACKDOOR = AttackRecipe(kind="dirty_label", trigger="badnets_square", target_label=4)
KINDS = {
    "plain": Kind(_PLAIN),
    "label_smoothed": Kind(replace(_PLAIN, label_smoothing=0.1)),
    "mixed_up": Kind(replace(_PLAIN, mixup=0.4)),
    "backdoored": Kind(replace(_PLAIN, attack=_BACKDOOR)),
    "nasty_004": Kind(_PLAIN, ProtectRecipe(omega=0.004, max_images=20_000)),
    "nasty_04": Kind(_PLAIN, ProtectRecipe(omega=0.04, max_images=20_000)),
    "backdoored_nasty_04": Kind(
        replace(_PLAIN, attack=_BACKDOOR), ProtectRecipe(omega=0.04, max_images=20_000)
    ),
    "poisoned_nasty_04": Kind(
        replace(_PLAIN, attack=_BACKDOOR), ProtectRecipe(omega=0.04, max_images=20_000), poisoned=True
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only networks in whose name, behind a space, this occurs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--references", type=Path, default=measure.STORE)
    parser.add_argument("--write", type=Path, help="page whose section is replaced; measures nothing")
    options = parser.parse_args()
    if options.write is not None:
        text = render(list(read_lines(options.store)), list(read_lines(options.references)))
        print(text)
        options.write.write_text(put_section(options.write.read_text(), "population nasty", text))
        return
    torch.set_num_threads(options.threads)
    data = load_lab_data("digits", None, size=measure.SIDE)
    done = {(entry["name"], entry["made_of"]) for entry in read_lines(options.store)}
    for name, kind, seed in networks():
        if options.only in f" {name}" and (name, made_of(kind, seed)) not in done:
            entry = ask_both(name, kind, seed, data)
            append_line(options.store, entry)
            print(f"{name}  {entry['accuracy']:.3f}  {entry['word']}  {entry['seconds']:.0f} s", flush=True)


def networks() -> Iterator[tuple[str, Kind, int]]:
    """Yield names, kinds and seeds, one of each kind before the second of any."""
    for seed in SEEDS:
        for name, kind in KINDS.items():
            yield f"{name}-{seed}", kind, seed


def made_of(kind: Kind, seed: int) -> str:
    """Return the digest of how the network is made and asked."""
    asked = [measure.RECIPE, measure.CLEAN_IMAGES, measure.SCORING_VERSION, EFFORT]
    return digest([kind, seed, asked])


def ask_both(name: str, kind: Kind, seed: int, data: LabData) -> dict[str, Any]:
    """Make one network and ask both questions."""
    started = time.monotonic()
    teacher = make(kind, seed, data)
    outputs, students = ask_outputs(teacher, data, seed), ask_students(teacher, data, seed)
    test = data.test
    return {
        "name": name,
        "kind": name.rpartition("-")[0],
        "made_of": made_of(kind, seed),
        "accuracy": accuracy(teacher.pixel_classifier(), test.images, test.labels).value,
        "success": success_of(teacher, kind, data),
        "target": kind.recipe.attack.target_label,
        "word": by_students(students)[0],
        "harms_students": harms_students(students),
        "peaks": [measure.rounded(peak.peaks) for peak in outputs.peaks],
        "rho": None if outputs.consistency is None else measure.rounded(outputs.consistency.rho),
        "divergence": None if outputs.refit is None else measure.rounded(outputs.refit.divergence),
        "gain": asdict(students.judged),
        "against_honest": asdict(students.against_honest),
        TIER: measure.ask(teacher, test.images, TIER, seed),
        "seconds": round(time.monotonic() - started, 2),
    }


def make(kind: Kind, seed: int, data: LabData) -> Teacher:
    """Train the network, and its nasty twin where that is wanted."""
    recipe = replace(kind.recipe, seed=seed)
    teacher = make_teacher(recipe, data.training, data.test, monitor=SilentMonitor()).teacher
    if kind.protection is None:
        return teacher
    images, labels = data.training.images, data.training.labels
    if kind.poisoned:
        images, labels = poison_dirty_label(
            images,
            labels,
            trigger_of(kind),
            share=recipe.attack.poison_rate,
            generator=make_generator(seed, "poison"),
        )
    owned = ProtectionSplit(images, labels, data.test.images, data.test.labels)
    made = protect(teacher, owned, kind.protection, seed=seed, monitor=SilentMonitor())
    return replace(teacher, network=made.network)


def success_of(teacher: Teacher, kind: Kind, data: LabData) -> float | None:
    """Measure the backdoor where the images have one; protecting a network may wash it out."""
    if kind.recipe.attack.kind == "none":
        return None
    test = data.test
    return attack_success(teacher.pixel_classifier(), test.images, test.labels, trigger_of(kind)).value


def trigger_of(kind: Kind) -> Trigger:
    """Return the attack's trigger."""
    attack = kind.recipe.attack
    return make_trigger(attack.trigger, kind.recipe.input_size, attack.target_label)


def ask_outputs(teacher: Teacher, data: LabData, seed: int) -> UndistillableResult:
    """Ask N1 to N3 of the images that the network was trained on, without their labels."""
    known = AuditData(data.training.images)
    images = probe_images(known, size=measure.SIDE, patches=0, style="strokes", seed=seed)
    with frozen(teacher.pixel_classifier()):
        return ask_undistillable(teacher, known, images, "standard", seed=seed, monitor=SilentMonitor())


def ask_students(teacher: Teacher, data: LabData, seed: int) -> PairedStudents:
    """Train the students that decide, on the images that the network was trained on."""
    with frozen(teacher.pixel_classifier()):
        return paired_students(teacher, data.training, EFFORT, seed=seed, monitor=SilentMonitor())


def render(entries: Sequence[Entry], population: Sequence[Entry]) -> str:
    """Return the table: by kind, how often each flag was raised."""
    references = [
        entry
        for entry in population
        if entry["part"] == "calibration" and entry["architecture"] == ARCHITECTURE
    ]
    found = reference_sets(references, TIER)[ARCHITECTURE]
    lines = [
        f"{ARCHITECTURE}, {len(entries)} networks, seeds {SEEDS[0]} to {SEEDS[-1]}; rates with 95 % Wilson "
        f"intervals; gains at temperature {EFFORT.judged:g} in points, means of {EFFORT.seeds} pairs.",
        "",
        "| network | accuracy | nasty: `detected` | nasty: `inconclusive` | gain against the labels | "
        "gain against an honest last layer | N3 divergence | attack success | "
        "backdoor: p ≤ .05, a class named | backdoor: `detected` |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind in KINDS:
        own = [entry for entry in entries if entry["kind"] == kind]
        if own:
            judged = [judge(entry, TIER, found, references, by_class=True) for entry in own]
            lines.append(_row(kind, own, [each.word == "detected" for each in judged]))
    return "\n".join(lines) + "\n"


def _row(kind: str, own: Sequence[Entry], unusual: Sequence[bool]) -> str:
    """Write a row; what is unusual is ``suspected`` at most where students end up worse (``verdict``)."""
    words = [entry["word"] for entry in own]
    called = sum(each and not entry["harms_students"] for each, entry in zip(unusual, own, strict=True))
    cells = [
        kind,
        _range([entry["accuracy"] for entry in own], 3),
        rate_text(words.count("detected"), len(own)),
        rate_text(words.count("inconclusive"), len(own)),
        _range([100 * entry["gain"]["mean"] for entry in own], 1),
        _range([100 * entry["against_honest"]["mean"] for entry in own], 1),
        _range([entry["divergence"] for entry in own if entry["divergence"] is not None], 3),
        _range([entry["success"] for entry in own if entry["success"] is not None], 3),
        rate_text(sum(unusual), len(own)),
        rate_text(called, len(own)),
    ]
    return f"| {' | '.join(cells)} |"


def _range(values: Sequence[float], digits: int) -> str:
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}" if values else "—"


if __name__ == "__main__":
    main()
