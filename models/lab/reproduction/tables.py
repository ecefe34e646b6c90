"""The tables that can be made again: which teachers, which students, how long.

``small`` runs on two CPU cores overnight, ``medium`` over a weekend or on a GPU in hours, ``paper`` takes the
papers' own lengths and wants a GPU. Every number depends on its recipe; a table of one budget says nothing
about another (attacks show late: algorithms.md 1.7, T5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from models.errors import RecipeError
from models.lab.reproduction import budgets
from models.lab.reproduction.budgets import Budget
from models.lab.reproduction.cell import Cell, PublicTeacher, StudentMethod
from models.lab.reproduction.paper import ABD_CMI, ABD_OOD, ABD_ZSKT, ROBUSTKD, PaperTable
from models.lab.reproduction.protection import NO_OMEGA, ProtectionCell
from models.lab.reproduction.rows import DEFENSES, cifar_students, digits_teacher, students
from models.recipes.clip import ClipRecipe
from models.recipes.fast import FastRecipe
from models.recipes.job import Recipe
from models.recipes.lab import FineTuneRecipe, UnderClippingRecipe
from models.results.protection import Source
from models.triggers import stand_in

DataName = Literal["digits", "cifar10"]


@dataclass(frozen=True)
class Table:
    """What is to be measured, and what it is written beside."""

    name: str
    title: str
    data: DataName
    cells: tuple[Cell | ProtectionCell, ...]
    paper: PaperTable | None = None
    """Per row: teacher, undefended student, defended student."""
    note: str = ""
    """What else a reader must know, such as numbers of the paper that fit no column."""


_PUBLIC = (
    ("public_watermark", PublicTeacher("ibau_trojan_wm_2_02_ckpt.pth", "trojan_wm", 2)),
    ("public_square", PublicTeacher("ibau_badnets_8_02_ckpt.pth", "badnets_square", 8)),
)


def digits(budget: Budget) -> Table:
    """Ten triggers on digits by four data-free methods, undefended, ABD, clipped; ABD's table 1 in small.

    One seed for all triggers and two more for three of them; five for all from ``medium`` on. Both defenses
    at once with ``ood`` and ``fast`` and the first seed.
    """
    cells = [
        cell
        for cell in _digits_students(("ood", "zskt", "cmi", "fast"), budgets.digits(budget), budget)
        if cell.defense != "abd_clip" or (cell.method in {"ood", "fast"} and cell.seed == 0)
    ]
    return Table("digits", "Ten triggers on digits, 16 x 16, WRN-10-2 → WRN-10-1", "digits", tuple(cells))


def digits_fast(budget: Budget) -> Table:
    """The fast method on the rows of ``digits`` by the distance jobs have; both defenses are ``auto``."""
    recipe = budgets.digits(budget)
    ours = FastRecipe(rounds=recipe.fast.rounds, learning=recipe.fast.learning)
    cells = _digits_students(("fast",), replace(recipe, fast=ours), budget)
    note = "Statistics by the relative distance, the default of jobs; the table `digits` has the paper's."
    title = "The fast method as jobs have it, ten triggers on digits"
    return Table("digits-fast", title, "digits", tuple(cells), note=note)


def _digits_students(methods: tuple[StudentMethod, ...], recipe: Recipe, budget: Budget) -> list[Cell]:
    """Return the students of all ten triggers, on ``small`` of one seed but for three triggers."""
    several = ("badnets_grid", "watermark_substitute", "l2_inv_substitute")
    return [
        cell
        for seed in range(3 if budget == "small" else 5)
        for trigger in map(stand_in, ABD_ZSKT)
        if seed == 0 or budget != "small" or trigger in several
        for method in methods
        for cell in students(trigger, digits_teacher(trigger), method, "wrn-10-1", recipe, seeds=[seed])
    ]


def abd_t1(budget: Budget) -> Table:
    """ABD, table 1: zero-shot transfer on CIFAR-10. ``small`` takes the grid alone."""
    rows = {
        "small": ("badnets_grid",),
        "medium": ("badnets_grid", "trojan_wm", "clean"),
        "paper": (*ABD_ZSKT, "clean"),
    }
    cells = cifar_students(rows[budget], "zskt", budget, seeds=3 if budget == "paper" else 1)
    return Table("abd-t1", "ABD, table 1: zero-shot transfer, CIFAR-10", "cifar10", cells, ABD_ZSKT)


def abd_t2_ood(budget: Budget) -> Table:
    """ABD, table 2: out-of-distribution patches on CIFAR-10, and two public teachers beside ours.

    Both defenses at once with one seed on ``small``.
    """
    rows = ("trojan_wm", "badnets_grid", "blend", "clean")
    cells = [*cifar_students(rows, "ood", budget, seeds=3)]
    for name, teacher in _PUBLIC:
        cells += students(name, teacher, "ood", "wrn-16-1", budgets.cifar(budget), seeds=range(3))
    if budget == "small":
        cells = [cell for cell in cells if cell.defense != "abd_clip" or cell.recipe.seed == 0]
    return Table(
        "abd-t2-ood", "ABD, table 2: out-of-distribution patches, CIFAR-10", "cifar10", tuple(cells), ABD_OOD
    )


def abd_t2_cmi(budget: Budget) -> Table:
    """ABD, table 2: contrastive model inversion on CIFAR-10."""
    cells = cifar_students(
        ("trojan_wm", "badnets_square"), "cmi", budget, seeds=3 if budget == "paper" else 1
    )
    return Table(
        "abd-t2-cmi", "ABD, table 2: contrastive model inversion, CIFAR-10", "cifar10", cells, ABD_CMI
    )


def fast(budget: Budget) -> Table:
    """The fast method under attack, which no paper has measured; with public teachers what ``auto`` does."""
    cells = [*cifar_students(("trojan_wm", "badnets_grid", "clean"), "fast", budget, seeds=2)]
    lab = budgets.cifar(budget)
    for name, teacher in _PUBLIC:
        cells += students(name, teacher, "fast", "wrn-16-1", replace(lab, clip=ClipRecipe()), seeds=range(1))
    note = "Statistics by the relative distance, the default of jobs; public teachers with its looser bounds."
    return Table("fast", "FastDFKD, CIFAR-10", "cifar10", tuple(cells), note=note)


def robustkd_t6(budget: Budget) -> Table:
    """RobustKD, table 6: feature distillation from cheat-KD and latent teachers; CIFAR-10 for CIFAR-100.

    Two controls of each trigger: a student of the clean teacher, which tells what the trigger does without a
    backdoor, and one of the labels alone, which tells what the features were good for.
    """
    kinds: tuple[Literal["cheat_kd", "latent"], ...] = ("cheat_kd", "latent")
    cells = [
        cell
        for kind in kinds
        for seed in range(2)
        for cell in _feature_students(kind, replace(budgets.features(budget), seed=seed), budget)
    ]
    title = "RobustKD, table 6: feature distillation, here CIFAR-10 and WRN-16-2 → WRN-16-1"
    threshold = (
        "is the paper's .2, whatever it costs. Cheat-KD is the one its text describes, with 300 steps of the "
        "trigger's search, where the published numbers come from the code, with 200 passes"
        if budget == "paper"
        else "is the loosest that keeps the accuracy: no canary and no recovered trigger has a say in it "
        "here. They could only have chosen a tighter one"
    )
    note = (
        "The triggers are searched, and may work without any backdoor: students of the clean teacher, and of "
        f"the labels alone (feature weight 0), are measured with them too. RobustKD's threshold {threshold}."
    )
    return Table("robustkd-t6", title, "cifar10", tuple(cells), ROBUSTKD, note)


def _feature_students(kind: Literal["cheat_kd", "latent"], recipe: Recipe, budget: Budget) -> list[Cell]:
    """Return both students of a poisoned teacher, and the undefended controls."""
    clean = budgets.cifar_teacher(budget)
    teacher = replace(clean, attack=budgets.feature_attack(kind, budget))
    feature = replace(recipe.robustkd.feature, feature_weight=0.0)
    labels_alone = replace(recipe, robustkd=replace(recipe.robustkd, feature=feature))
    student = "wrn-16-1"
    return [
        Cell(kind, teacher, "feature", "none", student, recipe),
        Cell(kind, teacher, "robustkd", "robustkd", student, recipe),
        Cell(f"{kind}, clean teacher", clean, "feature", "none", student, recipe, teacher),
        Cell(f"{kind}, labels alone", clean, "feature", "none", student, labels_alone, teacher),
    ]


def nasty_t1(budget: Budget) -> Table:
    """Nasty Teacher, table 1: a plain CNN learns from labels, from a network and from its nasty twin.

    An honest twin, trained as the nasty ones are but for omega, tells what that training does by itself.
    """
    name = "resnet-18" if budget == "paper" else "resnet-20"
    epochs = budgets.protection(budget, 0.04).epochs
    teacher = replace(budgets.cifar_teacher(budget), architecture=name, epochs=epochs)
    students: tuple[tuple[Source, float], ...] = (
        ("labels", 0.004), ("original", 0.004), ("nasty", NO_OMEGA), ("nasty", 0.004),
        ("nasty", 0.04),
    )  # fmt: skip
    cells = [
        ProtectionCell(teacher, source, budgets.protection(budget, omega), seed)
        for source, omega in students
        for seed in range(3)
    ]
    title = f"Nasty Teacher, table 1: CIFAR-10, {'' if budget == 'paper' else 'here ResNet-20 for '}ResNet-18"
    note = (
        "The paper, ResNet-18, %: network 95.13, nasty 94.56; plain CNN from labels 86.64, from the network "
        "87.75, from the nasty one 82.46. Network and twin are trained alike in length and data only: the "
        "twin's crops are mirrored at their edges (the students', too) where the network's are padded with "
        "zeros, and it has plain momentum and no warm-up. So the nasty twins are to be compared with the "
        "honest one, which differs from them in omega alone."
    )
    return Table("nasty-t1", title, "cifar10", tuple(cells), note=note)


def clip_attacker(budget: Budget) -> Table:
    """An attacker who knows the clipped teacher, on digits: poisoned as usual, and under its bounds.

    The second is a clean teacher that was fine-tuned. The third row is, too, but without the bounds.
    """
    recipe = budgets.digits(budget)
    cells = []
    for trigger in ("badnets_grid", "watermark_substitute", "l2_inv_substitute"):
        usual = digits_teacher(trigger)
        attack = replace(
            usual.attack,
            kind="under_clipping",
            fine_tune=FineTuneRecipe(epochs=12, batch_size=64),
            clipping=UnderClippingRecipe(patch_style="strokes"),
        )
        alone = replace(attack, clipping=replace(attack.clipping, weight=0.0))
        for row, teacher, defenses in (
            (trigger, usual, DEFENSES),
            (f"{trigger}, under clipping", replace(usual, attack=attack), DEFENSES),
            (f"{trigger}, fine-tuned without bounds", replace(usual, attack=alone), ("none", "clip")),
        ):
            made = students(row, teacher, "ood", "wrn-10-1", recipe, seeds=range(2))
            cells += [cell for cell in made if cell.defense in defenses]
    return Table("clip-attacker", "An attacker who knows the clipped teacher, digits", "digits", tuple(cells))


TABLES: dict[str, Callable[[Budget], Table]] = {
    "digits": digits,
    "digits-fast": digits_fast,
    "abd-t1": abd_t1,
    "abd-t2-ood": abd_t2_ood,
    "abd-t2-cmi": abd_t2_cmi,
    "fast": fast,
    "robustkd-t6": robustkd_t6,
    "nasty-t1": nasty_t1,
    "clip-attacker": clip_attacker,
}


def find_table(name: str, budget: Budget) -> Table:
    """Return a table by name.

    Raises:
        RecipeError: ``table_unknown`` if there is none.
    """
    if name not in TABLES:
        raise RecipeError(
            f"There is no table named {name!r}.", code="table_unknown", hint=f"Tables: {', '.join(TABLES)}."
        )
    return TABLES[name](budget)
