"""One number of a table: which teacher, which student, which seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from models.lab.recipe_digest import digest
from models.recipes.job import Recipe
from models.recipes.lab import TeacherRecipe
from models.recipes.plan import AppliedDefense
from models.results.rate import Rate

StudentMethod = Literal["vanilla", "feature", "robustkd", "ood", "zskt", "cmi", "fast"]

#: The clipped teacher is bounded on patches, whatever the student learns from.
_DEFENSE_PARTS: Mapping[AppliedDefense, tuple[str, ...]] = {
    "none": (),
    "abd": ("abd",),
    "clip": ("clip", "ood"),
    "abd_clip": ("abd", "clip", "ood"),
    "robustkd": ("robustkd",),
}


@dataclass(frozen=True)
class PublicTeacher:
    """A checkpoint that others published, with what is known of its backdoor."""

    file: str
    """Its name in the folder of checkpoints."""
    trigger: str | None
    """Catalog name or drawn pattern; None for a clean one."""
    target_label: int = 0


@dataclass(frozen=True)
class Cell:
    """One student of one teacher."""

    row: str
    """How the table calls the teacher, usually by its trigger."""
    teacher: TeacherRecipe | PublicTeacher
    method: StudentMethod
    defense: AppliedDefense
    student: str
    """Architecture of the student."""
    recipe: Recipe
    """Lengths and rates; its seed is the student's."""
    trigger_of: TeacherRecipe | None = None
    """Measure with this teacher's trigger, which ``teacher`` never saw: a control of a searched trigger. None
    takes the teacher's own."""

    @property
    def column(self) -> str:
        """How the table calls the kind of student."""
        return f"{self.method}/{self.defense}"

    @property
    def seed(self) -> int:
        """Of the student."""
        return self.recipe.seed

    @property
    def key(self) -> str:
        """A name that changes with everything that could change the number, but for the code."""
        return f"{self.row}-{self.method}-{self.defense}-{self.recipe.seed}-{digest(self.used)}"

    @property
    def used(self) -> dict[str, Any]:
        """What could change the number: of the recipe only the parts that this student's training reads."""
        parts = {self.method, *_DEFENSE_PARTS[self.defense]}
        read = {name: _part(self.recipe, name) for name in sorted(parts)}
        whole = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "recipe"}
        if self.trigger_of is None:  # as cells were named before there were controls
            del whole["trigger_of"]
        return {**whole, "seed": self.recipe.seed, "deterministic": self.recipe.deterministic, **read}


def _part(recipe: Recipe, name: str) -> object:
    """Return what a method reads: feature distillation alone nothing of the masks beside it."""
    return recipe.robustkd.feature if name == "feature" else getattr(recipe, name)


@dataclass(frozen=True)
class Measured:
    """What was measured for a cell; attack figures are None for a clean teacher."""

    key: str
    row: str
    column: str
    seed: int
    clean_accuracy: Rate
    attack_success: Rate | None
    clean_target_rate: Rate | None
    teacher_accuracy: Rate
    teacher_attack_success: Rate | None
    agreement: float | None
    """Of student and teacher on the last training images, where the method reports it."""
    decisions: tuple[str, ...]
    """What the defense decided, in words."""
    seconds: float
    machine: str
    made_of: Mapping[str, Any] = field(default_factory=dict)
    """What the cell used, as it was then, with every default."""
    clean_teacher_success: Rate | None = None
    """What the trigger does to the clean teacher that the attack started from, if it did and was measured."""
