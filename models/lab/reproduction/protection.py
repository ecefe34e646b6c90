"""The nasty teacher's table: one network, its nasty twins, and students of the labels, of it and of them.

A cell is one kind of student; the three kinds that belong to one twin and seed are trained together, so
measuring one of them measures all. Everything is measured on the test images.
"""

from __future__ import annotations

import copy
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from models.architectures import PixelClassifier
from models.data.labelled import LabelledImages
from models.distillation.nasty.owner_images import ProtectionSplit
from models.distillation.nasty.protection import measure_protection, protect
from models.engine.monitor import Monitor, ResumeState
from models.lab.phases import Phases
from models.lab.recipe_digest import digest, document
from models.lab.reproduction.cell import Measured
from models.lab.reproduction.machine import machine
from models.lab.reproduction.teachers import Suspect
from models.metrics import accuracy
from models.recipes.lab import TeacherRecipe
from models.recipes.protect import ProtectRecipe
from models.results.protection import Source
from models.results.rate import Rate

SOURCES: tuple[Source, ...] = ("labels", "original", "nasty")


@dataclass(frozen=True)
class ProtectionCell:
    """The students of one kind, beside one nasty twin."""

    teacher: TeacherRecipe
    """Of the owner's clean network."""
    source: Source
    """What the student learns from."""
    recipe: ProtectRecipe
    seed: int

    @property
    def row(self) -> str:
        """How the table calls what the student learns from."""
        return f"nasty, omega {self.recipe.omega:g}, and its {self.source} student"

    @property
    def column(self) -> str:
        """How the table calls the student."""
        return self.recipe.harm.architecture

    @property
    def key(self) -> str:
        """A name that changes with everything that could change the number, but for the code."""
        return f"protection-{self.source}-{self.seed}-{self.shared}"

    @property
    def shared(self) -> str:
        """What the three students of one twin have in common."""
        return digest(self.used)

    @property
    def used(self) -> dict[str, Any]:
        """What could change the numbers of the three."""
        return {"teacher": self.teacher, "recipe": self.recipe, "seed": self.seed}


def measure_students(
    cell: ProtectionCell,
    suspect: Suspect,
    training: LabelledImages,
    test: LabelledImages,
    *,
    monitor: Monitor,
    resume: ResumeState | None,
) -> list[Measured]:
    """Make the twin, train the three students, and measure them.

    Args:
        cell: Any of the three.
        suspect: The owner's network.
        training: Clean images, at its input size.
        test: Clean images, at its input size.
        monitor: Told of every step.
        resume: A state that the monitor was offered by a call with the same arguments.
    """
    began = time.monotonic()
    original = suspect.teacher
    data = ProtectionSplit(training.images, training.labels, test.images, test.labels)
    phases = Phases(monitor, resume)

    def make(inner: Monitor, state: ResumeState | None) -> dict[str, object]:
        made = protect(original, data, cell.recipe, seed=cell.seed, monitor=inner, resume=state)
        return {"weights": made.network.state_dict()}

    twin = copy.deepcopy(original.network)
    twin.load_state_dict(phases.run("twin", make)["weights"])

    def measure(inner: Monitor, state: ResumeState | None) -> dict[str, object]:
        found = measure_protection(
            original, twin, data, cell.recipe, seed=cell.seed, monitor=inner, resume=state
        )
        (triple,) = found.students
        return {source: asdict(getattr(triple, source)) for source in SOURCES}

    found = phases.run("students", measure)
    nasty = accuracy(PixelClassifier(twin, original.normalization), test.images, test.labels)
    seconds = (time.monotonic() - began) / len(SOURCES)
    return [
        _measured(
            replace(cell, source=source),
            Rate(**found[source]),
            teacher=nasty if source == "nasty" else suspect.clean_accuracy,
            seconds=seconds,
            where=machine(original.device),
        )
        for source in SOURCES
    ]


def _measured(cell: ProtectionCell, student: Rate, *, teacher: Rate, seconds: float, where: str) -> Measured:
    return Measured(
        key=cell.key,
        row=cell.row,
        column=cell.column,
        seed=cell.seed,
        clean_accuracy=student,
        attack_success=None,
        clean_target_rate=None,
        teacher_accuracy=teacher,
        teacher_attack_success=None,
        agreement=None,
        decisions=(),
        seconds=seconds,
        machine=where,
        made_of=document(cell.used),
    )
