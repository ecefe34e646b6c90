"""Measuring a table's cells, one after the other; what is measured stays measured."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

import torch

from models.architectures import PixelClassifier
from models.data.bundle import AuditData
from models.data.labelled import LabelledImages
from models.distillation.students import StudentOrder, train_student
from models.engine.monitor import Monitor, ResumeState
from models.errors import RecipeError
from models.lab.fine_tuned import FINE_TUNED
from models.lab.recipe_digest import digest, document
from models.lab.reproduction.cell import Cell, Measured, PublicTeacher
from models.lab.reproduction.machine import machine
from models.lab.reproduction.pictures import check_pictures
from models.lab.reproduction.protection import ProtectionCell, measure_students
from models.lab.reproduction.store import Store
from models.lab.reproduction.tables import Table
from models.lab.reproduction.teachers import (
    Folders,
    Suspect,
    is_made,
    lab_suspect,
    public_suspect,
    with_trigger_of,
)
from models.lab.teachers import matched_clean
from models.lab.watcher import Watch
from models.lab.workshop import fitted
from models.metrics import accuracy, attack_success, clean_target_rate
from models.recipes.architecture import ArchitectureSpec
from models.recipes.lab import TeacherRecipe


def run_table(
    table: Table,
    training: LabelledImages,
    test: LabelledImages,
    store: Store,
    folders: Folders,
    *,
    watch: Watch,
    photographs: list[torch.Tensor],
    device: torch.device,
    deadline: float | None = None,
    only: str = "",
) -> bool:
    """Measure the cells that the store does not hold yet, in the table's order.

    Args:
        table: From ``find_table``.
        training: Clean images: the teachers' (poisoned there), and those of methods that need any.
        test: Clean images to measure on; nothing is chosen by them.
        store: Read for what is there; every cell is added when it is known.
        folders: Work, patterns, checkpoints.
        watch: Makes the monitor of each teacher and student.
        photographs: Sources of patches; empty takes the builtin ones.
        device: Where to compute.
        deadline: ``time.monotonic()`` after which no further cell is begun; a teacher that is being made then
            is finished and kept.
        only: Leave out cells in whose `` row column seed `` this does not occur (``ood/abd`` with a space
            behind leaves ``ood/abd_clip`` out); two processes with different words may share a store.

    Returns:
        Whether the table is complete.

    Raises:
        RecipeError: ``pictures_missing`` if a trigger that is to be measured is a picture that is not there,
            ``only_matches_nothing`` if ``only`` leaves all out.
        Interrupted: If a monitor asks to stop.
    """
    chosen = _chosen(table, only)
    check_pictures((cell for cell in chosen if store.find(cell) is None), folders.patterns)
    suspects: dict[str, Suspect] = {}
    for cell in chosen:
        if store.find(cell) is not None:  # asked anew: some are measured together
            continue
        if deadline is not None and time.monotonic() > deadline:
            return False
        suspect = _suspect_of(cell, suspects, training, test, folders, watch=watch, device=device)
        if deadline is not None and time.monotonic() > deadline:  # a teacher may take hours
            return False
        monitor, resume = watch(cell.key, cell.used)
        for measured in _measured(
            cell, suspect, training, test, photographs=photographs, monitor=monitor, resume=resume
        ):
            store.add(measured)
    return True


def _chosen(table: Table, only: str) -> list[Cell | ProtectionCell]:
    names = [f" {cell.row} {cell.column} {cell.seed} " for cell in table.cells]
    chosen = [cell for cell, name in zip(table.cells, names, strict=True) if only in name]
    if not chosen:
        raise RecipeError(
            f"No student of the table {table.name} has {only!r} in its name.",
            code="only_matches_nothing",
            hint=f"Names are teacher, method/defense and seed, as in {names[0]!r}.",
        )
    return chosen


def finished(table: Table, store: Store, folders: Folders) -> set[str]:
    """Name the work whose states nobody needs any more: measured cells, and teachers that are kept.

    A teacher that has to be made anew, because a default has changed, would else come out of its old state. A
    cell that was measured with another default is not measured: its state may be that of the new one.
    """
    teachers = {cell.teacher for cell in table.cells}
    teachers |= {cell.trigger_of for cell in table.cells if isinstance(cell, Cell) and cell.trigger_of}
    made = {each for each in teachers if isinstance(each, TeacherRecipe)}
    made |= {matched_clean(each) for each in made}
    measured = {cell.key for cell in table.cells if store.find(cell) is not None}
    return measured | {_name(each) for each in made if is_made(each, folders)}


def _name(teacher: TeacherRecipe | PublicTeacher) -> str:
    """Call the making of a teacher as its state is called."""
    return f"teacher-{digest(teacher)}"


def _suspect_of(
    cell: Cell | ProtectionCell,
    suspects: dict[str, Suspect],
    training: LabelledImages,
    test: LabelledImages,
    folders: Folders,
    *,
    watch: Watch,
    device: torch.device,
) -> Suspect:
    """Return a cell's teacher, made or read if it is not among ``suspects`` yet, where it then is."""

    def suspect(teacher: TeacherRecipe | PublicTeacher) -> Suspect:
        name = _name(teacher)
        if name not in suspects:
            suspects[name] = _suspect(teacher, training, test, folders, watch=watch, device=device)
        return suspects[name]

    if not isinstance(cell, Cell) or cell.trigger_of is None:
        return suspect(cell.teacher)
    name = f"{_name(cell.teacher)} with {digest(cell.trigger_of)}"
    if name not in suspects:
        suspects[name] = with_trigger_of(suspect(cell.teacher), suspect(cell.trigger_of), test)
    return suspects[name]


def _suspect(
    teacher: TeacherRecipe | PublicTeacher,
    training: LabelledImages,
    test: LabelledImages,
    folders: Folders,
    *,
    watch: Watch,
    device: torch.device,
) -> Suspect:
    if isinstance(teacher, PublicTeacher):
        return public_suspect(teacher, test, folders, device=device)
    if teacher.attack.kind in FINE_TUNED and not is_made(teacher, folders):
        # Made first and kept: several attacks start from it.
        _suspect(matched_clean(teacher), training, test, folders, watch=watch, device=device)
    monitor, resume = watch(_name(teacher), teacher)
    return lab_suspect(teacher, training, test, folders, monitor=monitor, resume=resume, device=device)


def _measured(
    cell: Cell | ProtectionCell,
    suspect: Suspect,
    training: LabelledImages,
    test: LabelledImages,
    *,
    photographs: list[torch.Tensor],
    monitor: Monitor,
    resume: ResumeState | None,
) -> list[Measured]:
    if isinstance(cell, Cell):
        return [measure(cell, suspect, training, test, photographs, monitor=monitor, resume=resume)]
    size = suspect.teacher.spec.input_size
    return measure_students(
        cell, suspect, fitted(training, size), fitted(test, size), monitor=monitor, resume=resume
    )


def measure(
    cell: Cell,
    suspect: Suspect,
    training: LabelledImages,
    test: LabelledImages,
    photographs: list[torch.Tensor],
    *,
    monitor: Monitor,
    resume: ResumeState | None = None,
) -> Measured:
    """Train one student and measure it; arguments as of ``run_table``."""
    began = time.monotonic()
    teacher, size = suspect.teacher, suspect.teacher.spec.input_size
    role: Literal["undefended", "defended"] = "undefended" if cell.defense == "none" else "defended"
    spec = ArchitectureSpec(cell.student, teacher.spec.num_classes, size)
    clean = fitted(training, size)
    # A job keeps this share to measure on. Here the test images measure, and students see no more than there.
    recipe = replace(cell.recipe, verify=replace(cell.recipe.verify, holdout_share=0.1))
    trained = train_student(
        teacher,
        AuditData(clean.images, clean.labels, photographs=photographs),
        recipe,
        StudentOrder(role, cell.method, cell.defense, spec),
        monitor,
        resume=resume,
    )
    classifier = PixelClassifier(trained.network, teacher.normalization)
    seen, trigger = fitted(test, size), suspect.trigger
    return Measured(
        key=cell.key,
        row=cell.row,
        column=cell.column,
        seed=cell.recipe.seed,
        clean_accuracy=accuracy(classifier, seen.images, seen.labels),
        attack_success=None
        if trigger is None
        else attack_success(classifier, seen.images, seen.labels, trigger),
        clean_target_rate=(
            None
            if trigger is None
            else clean_target_rate(classifier, seen.images, seen.labels, trigger.target_label)
        ),
        teacher_accuracy=suspect.clean_accuracy,
        teacher_attack_success=suspect.attack_success,
        agreement=trained.result.final.get("agreement"),
        decisions=tuple(decision.text for decision in trained.result.decisions),
        seconds=time.monotonic() - began,
        machine=machine(teacher.device),
        made_of=document(cell.used),
        clean_teacher_success=suspect.clean_teacher_success,
    )
