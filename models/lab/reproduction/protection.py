"""The nasty teacher's table: one network, its nasty twins, and students of the labels, of it and of them.

A cell is one student. Those of the labels and of the network itself do not depend on omega: they are trained
once a seed, together with the student of the first twin; a further twin's student sees the same batches from
the same first weights. Everything is measured on the test images.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from typing import Any

from models.architectures import PixelClassifier
from models.data.labelled import LabelledImages
from models.distillation.nasty.owner_images import ProtectionSplit
from models.distillation.nasty.protection import protect
from models.distillation.nasty.stolen_students import SOURCES, train_stolen_students
from models.engine.monitor import Monitor, ResumeState
from models.lab.phases import Phases
from models.lab.recipe_digest import digest, document
from models.lab.reproduction.cell import Measured
from models.lab.reproduction.machine import machine
from models.lab.reproduction.teachers import Suspect
from models.metrics import accuracy, wilson
from models.recipes.lab import TeacherRecipe
from models.recipes.protect import ProtectRecipe
from models.results.protection import Source
from models.results.rate import Rate

#: Of the twin that is the nasty ones' control, trained as they are and towards the labels alone: a recipe's
#: omega is above 0, and the term of this one is lost when float32 adds it to the cross-entropy.
NO_OMEGA = 1e-9


@dataclass(frozen=True)
class ProtectionCell:
    """The students of one kind, beside one nasty twin."""

    teacher: TeacherRecipe
    """Of the owner's clean network."""
    source: Source
    """What the student learns from."""
    recipe: ProtectRecipe
    """Of the twin and of the student."""
    seed: int

    @property
    def row(self) -> str:
        """How the table calls what the student learns from."""
        return {
            "labels": "the labels alone",
            "original": "the network itself",
            "nasty": (
                "its honest twin"
                if self.recipe.omega == NO_OMEGA
                else f"its nasty twin, omega {self.recipe.omega:g}"
            ),
        }[self.source]

    @property
    def column(self) -> str:
        """How the table calls the student."""
        return self.recipe.harm.architecture

    @property
    def key(self) -> str:
        """A name that changes with everything that could change the number, but for the code."""
        return f"protection-{self.source}-{self.seed}-{digest(self.used)}"

    @property
    def used(self) -> dict[str, Any]:
        """What could change the number."""
        recipe = self.recipe if self.source == "nasty" else replace(self.recipe, omega=ProtectRecipe().omega)
        return {"teacher": self.teacher, "recipe": recipe, "seed": self.seed}

    @property
    def together(self) -> tuple[Source, ...]:
        """Which students are trained when this one is."""
        return ("nasty",) if self.source == "nasty" else SOURCES


def measure_students(
    cell: ProtectionCell,
    suspect: Suspect,
    training: LabelledImages,
    test: LabelledImages,
    *,
    monitor: Monitor,
    resume: ResumeState | None,
) -> list[Measured]:
    """Make the twin, train the students, and measure them.

    Args:
        cell: One of them; says who is trained with it.
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

    def learn(inner: Monitor, state: ResumeState | None) -> dict[str, object]:
        ((_, answers),) = train_stolen_students(
            original,
            twin,
            data,
            cell.recipe,
            seed=cell.seed,
            monitor=inner,
            resume=state,
            sources=cell.together,
        ).answers
        return {str(source): named for source, named in answers.items()}

    answers = phases.run("students", learn)
    nasty = accuracy(PixelClassifier(twin, original.normalization), test.images, test.labels)
    seconds = (time.monotonic() - began) / len(cell.together)
    return [
        _measured(
            replace(cell, source=source),
            wilson(int((answers[source] == test.labels).sum()), len(test)),
            teacher=nasty if source == "nasty" else suspect.clean_accuracy,
            seconds=seconds,
            where=machine(original.device),
        )
        for source in cell.together
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
