"""The teachers of a table, each made or read once."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import safetensors.torch
import torch

from models.architectures import build
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.load import Teacher, load_teacher
from models.checkpoints.save import save_student
from models.data.labelled import LabelledImages
from models.engine.monitor import Monitor, ResumeState
from models.errors import RecipeError
from models.lab.recipe_digest import digest, document, still_holds
from models.lab.reproduction.cell import PublicTeacher
from models.lab.teachers import LabTeacher, make_teacher, matched_clean
from models.lab.workshop import fitted, named_trigger
from models.metrics import accuracy, attack_success
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.lab import TeacherRecipe
from models.results.rate import Rate
from models.triggers import Trigger, find_trigger

#: The last file of a teacher that is written.
_WHOLE = "trigger.json"
_CLEAN_SUCCESS = "clean_teacher_success"


@dataclass(frozen=True)
class Folders:
    """Where what a table needs lies."""

    work: Path
    """Ours: teachers and what is half done; may be deleted at any time."""
    patterns: Path | None = None
    """Pictures of published triggers."""
    checkpoints: Path | None = None
    """Public checkpoints."""
    data: str = ""
    """Which images the teachers learn from, as a digest; teachers of others are not taken."""


@dataclass(frozen=True, eq=False)
class Suspect:
    """A teacher with what is known of it."""

    teacher: Teacher
    trigger: Trigger | None
    clean_accuracy: Rate
    attack_success: Rate | None
    clean_teacher_success: Rate | None = None
    """What the trigger does to the clean teacher that the attack started from; None where none did, and for
    teachers that were made before this was kept."""


def public_suspect(
    public: PublicTeacher, test: LabelledImages, folders: Folders, *, device: torch.device
) -> Suspect:
    """Read a public checkpoint by the product's own way in.

    Raises:
        RecipeError: ``checkpoint_missing`` if the file is not there.
        CheckpointRejected: If it is refused.
    """
    path = None if folders.checkpoints is None else folders.checkpoints / public.file
    if path is None or not path.is_file():
        raise RecipeError(
            f"The public checkpoint {public.file} is not at hand.",
            code="checkpoint_missing",
            hint="Name its folder with --checkpoints.",
        )
    canonical = folders.work / "public" / f"{public.file}.safetensors"
    canonical.parent.mkdir(parents=True, exist_ok=True)
    teacher = load_teacher(canonical, inspect_checkpoint(path, canonical, InspectOptions()), device=device)
    size = teacher.spec.input_size
    trigger = (
        None
        if public.trigger is None
        else find_trigger(public.trigger, size, public.target_label, folders.patterns)
    )
    return _measured(teacher, trigger, fitted(test, size))


def lab_suspect(
    recipe: TeacherRecipe,
    training: LabelledImages,
    test: LabelledImages,
    folders: Folders,
    *,
    monitor: Monitor,
    resume: ResumeState | None,
    device: torch.device,
) -> Suspect:
    """Make a teacher of the lab, or read the one that was made of the same recipe and images before.

    An attack that fine-tunes a clean teacher gets the one of the matched recipe, if that was made already.
    """
    folder = _folder(recipe, folders)
    if not is_made(recipe, folders):
        clean = matched_clean(recipe)
        made = make_teacher(
            recipe,
            training,
            test,
            monitor=monitor,
            patterns=folders.patterns,
            clean=_read(_folder(clean, folders), device) if is_made(clean, folders) else None,
            resume=resume,
            device=device,
        )
        _write(made, folder, folders.data)
    suspect = _measured(_read(folder, device), _read_trigger(folder), fitted(test, recipe.input_size))
    return replace(suspect, clean_teacher_success=_read_clean_success(folder))


def with_trigger_of(suspect: Suspect, other: Suspect, test: LabelledImages) -> Suspect:
    """Return a teacher with another one's trigger, which it never saw: what the trigger does by itself."""
    return _measured(suspect.teacher, other.trigger, fitted(test, suspect.teacher.spec.input_size))


def _measured(teacher: Teacher, trigger: Trigger | None, test: LabelledImages) -> Suspect:
    classifier = teacher.pixel_classifier()
    success = None if trigger is None else attack_success(classifier, test.images, test.labels, trigger)
    return Suspect(teacher, trigger, accuracy(classifier, test.images, test.labels), success)


def _folder(recipe: TeacherRecipe, folders: Folders) -> Path:
    return folders.work / "teachers" / digest(recipe)


def is_made(recipe: TeacherRecipe, folders: Folders) -> bool:
    """Whether a whole teacher lies there that was made of just this.

    Its folder's name does not tell a default that changed, nor a published picture from its stand-in.
    """
    folder = _folder(recipe, folders)
    if not (folder / _WHOLE).exists():
        return False
    if recipe.attack.stamps_named_trigger:
        stamped = _read_trigger(folder)
        if stamped is None or stamped.sha256 != named_trigger(recipe, folders.patterns).sha256:
            return False
    with safetensors.safe_open(folder / "teacher.safetensors", "pt") as file:
        facts = file.metadata()
    return facts.get("data") == folders.data and still_holds(json.loads(facts["recipe"]), document(recipe))


def _write(made: LabTeacher, folder: Path, data: str) -> None:
    """Write weights, then the trigger: a folder with a trigger's file is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _WHOLE).unlink(missing_ok=True)
    teacher = made.teacher
    facts = {"recipe": json.dumps(asdict(made.recipe)), "data": data}
    if made.clean_teacher_success is not None:
        facts[_CLEAN_SUCCESS] = json.dumps(asdict(made.clean_teacher_success))
    save_student(
        teacher.network,
        teacher.spec,
        teacher.normalization,
        folder / "teacher.safetensors",
        facts,
    )
    described: dict[str, object] = {}
    if made.trigger is not None:
        tensors = {"pattern": made.trigger.pattern.contiguous(), "mask": made.trigger.mask.contiguous()}
        safetensors.torch.save_file(tensors, folder / "trigger.safetensors")
        described = {
            "name": made.trigger.name,
            "kind": made.trigger.kind,
            "target_label": made.trigger.target_label,
        }
    partial = folder / f"{_WHOLE}.partial"
    partial.write_text(json.dumps(described))
    partial.replace(folder / _WHOLE)


def _read(folder: Path, device: torch.device) -> Teacher:
    with safetensors.safe_open(folder / "teacher.safetensors", "pt") as file:
        facts = file.metadata()
    spec = ArchitectureSpec(facts["architecture"], int(facts["num_classes"]), int(facts["input_size"]))
    network = build(spec)
    network.load_state_dict(safetensors.torch.load_file(folder / "teacher.safetensors"))
    mean, std = json.loads(facts["mean"]), json.loads(facts["std"])
    return Teacher(network.eval().to(device), Normalization(tuple(mean), tuple(std)), spec)


def _read_trigger(folder: Path) -> Trigger | None:
    described = json.loads((folder / _WHOLE).read_text())
    if not described:
        return None
    tensors = safetensors.torch.load_file(folder / "trigger.safetensors")
    return Trigger(pattern=tensors["pattern"], mask=tensors["mask"], **described)


def _read_clean_success(folder: Path) -> Rate | None:
    with safetensors.safe_open(folder / "teacher.safetensors", "pt") as file:
        rate = file.metadata().get(_CLEAN_SUCCESS)
    return None if rate is None else Rate(**json.loads(rate))
