"""What ``auto`` means: choosing a method and a defense by the data at hand, and saying why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from models.errors import RecipeError
from models.recipes.job import Recipe

DataFreeMethod = Literal["ood", "zskt", "cmi", "fast"]
ChosenMethod = Literal["vanilla", "robustkd"] | DataFreeMethod
AppliedDefense = Literal["none", "abd", "clip", "abd_clip", "robustkd"]
DATA_FREE: frozenset[str] = frozenset(get_args(DataFreeMethod))
#: For hints.
DATA_FREE_NAMES = "ood, zskt, cmi or fast"


@dataclass(frozen=True)
class Plan:
    """How the student will be made."""

    method: ChosenMethod
    defense: AppliedDefense
    control: Literal["feature", "vanilla"] | DataFreeMethod | None
    """Method of the undefended student trained beside it, or None."""
    reason: str


def plan(
    recipe: Recipe,
    *,
    labelled: bool,
    unlabelled: bool,
    obstacle: str = "",
    uninvertible: str = "",
    unclippable: str = "",
) -> Plan:
    """Resolve ``auto`` in method and defense.

    Without labels that is the fast method, with ABD and a clipped teacher. Undefended, its students of a
    WRN-16-2 on CIFAR-10 are twice as accurate as those of patches; with both defenses those of digits are
    better, too. Of seven backdoors these obey three less than those of patches do, three as little (not at
    all), and one more, .61 instead of .24. Of the defenses, by
    patches, each alone left 1.00 of a trigger that the other took away (docs/results.md).

    Args:
        recipe: The job's recipe.
        labelled: Whether labelled clean images were given.
        unlabelled: Whether clean images without labels were given.
        obstacle: Why teacher and student cannot be compared by their features, as a sentence; empty if they
            can, or if it is not known yet.
        uninvertible: Why the fast method does not suit the teacher, in the same way.
        unclippable: Why the teacher's activations cannot be clipped, in the same way.

    Raises:
        RecipeError: If the method needs images that were not given, or cannot carry the defense.
    """
    method, why = _method(recipe, labelled=labelled, obstacle=obstacle, uninvertible=uninvertible)
    if method == "robustkd" and not labelled:
        raise RecipeError(
            "RobustKD trains on labelled clean images and none were given.",
            code="data_missing",
            hint=f"Upload a dataset with role clean_labelled, or choose method {DATA_FREE_NAMES}.",
        )
    if method == "vanilla" and not (labelled or unlabelled):
        raise RecipeError(
            "Vanilla distillation trains on clean images and none were given.",
            code="data_missing",
            hint=f"Upload a dataset with role clean_labelled or clean_unlabelled, or take {DATA_FREE_NAMES}.",
        )
    return _with_defense(method, recipe, why, unclippable)


def _method(recipe: Recipe, *, labelled: bool, obstacle: str, uninvertible: str) -> tuple[ChosenMethod, str]:
    if recipe.method != "auto":
        return recipe.method, f"The recipe asks for {recipe.method}."
    if labelled and recipe.defense == "auto" and not obstacle:
        return (
            "robustkd",
            "Labelled clean images were given, so the student can learn from detoxified features.",
        )
    if labelled and recipe.defense == "none":
        return "vanilla", "Labelled clean images were given and the recipe asks for no defense."
    if labelled and recipe.defense == "auto":
        why = f"Labelled clean images were given, but RobustKD cannot use them here. {obstacle}"
    elif labelled:
        why = f"The recipe asks for {recipe.defense}, a defense of data-free distillation."
    else:
        why = "No labelled clean images were given."
    if uninvertible:
        return "ood", f"{why} The student learns from out-of-distribution patches. {uninvertible}"
    return "fast", f"{why} The student learns from images made by what the teacher's BatchNorms remember."


def _with_defense(method: ChosenMethod, recipe: Recipe, why: str, unclippable: str) -> Plan:
    wanted = recipe.defense
    if method == "robustkd":
        if wanted not in {"auto", "none"}:
            raise RecipeError(
                "ABD joins data-free methods; RobustKD is a defense of its own."
                if wanted == "abd"
                else "RobustKD edits the teacher itself: it does not learn from a clipped one.",
                code="recipe_invalid",
                hint=f"Choose method {DATA_FREE_NAMES} for this defense, or leave defense at auto.",
            )
        return Plan("robustkd", "robustkd", "feature" if recipe.control else None, why)
    if method == "vanilla" and wanted in {"abd", "abd_clip"}:
        raise RecipeError(
            "ABD joins data-free methods, not vanilla distillation.",
            code="recipe_invalid",
            hint=f"Choose method {DATA_FREE_NAMES} for ABD, robustkd when labelled images are given.",
        )
    if method == "vanilla" and wanted == "auto":
        return Plan("vanilla", "none", None, why + " Vanilla distillation has no defense: it is the control.")
    if wanted != "auto":
        control = method if recipe.control and wanted != "none" else None
        return Plan(method, wanted, control, f"{why} {_JOINED[wanted]}")
    control = method if recipe.control else None
    if unclippable:
        return Plan(method, "abd", control, f"{why} ABD joins it. {unclippable}")
    return Plan(
        method, "abd_clip", control, f"{why} ABD joins it, and the teacher's activations are clipped."
    )


_JOINED: dict[AppliedDefense, str] = {
    "none": "The recipe asks for no defense.",
    "abd": "ABD joins it.",
    "clip": "The recipe asks for a teacher with clipped activations.",
    "abd_clip": "ABD joins it, and the recipe asks for a teacher with clipped activations.",
}
