"""A teacher from a recipe: data, attack, training, and what is measured on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from models.architectures import PixelClassifier
from models.checkpoints.load import Teacher
from models.data.labelled import LabelledImages
from models.engine.monitor import Monitor, ResumeState, SilentMonitor
from models.errors import RecipeError
from models.lab.afterwards import afterwards
from models.lab.fine_tuned import FINE_TUNED, fine_tuned
from models.lab.phases import Phases
from models.lab.poisoned_sets import check_victims, poisoned_set
from models.lab.workshop import Trained, Workshop, fitted, named_trigger
from models.metrics import accuracy, all_to_all_success, attack_success, clean_target_rate
from models.recipes.lab import AfterRecipe, AttackRecipe, TeacherRecipe
from models.results.rate import Rate
from models.results.training import CurvePoint
from models.triggers import Trigger

#: Attacks that may be on one class's images, and the clean teacher, for which the class means nothing.
_WITH_SOURCE = frozenset({"none", "source_specific", "hidden_trigger"})


@dataclass(frozen=True, eq=False)
class LabTeacher:
    """A teacher whose backdoor is known, or that is known to have none."""

    teacher: Teacher
    trigger: Trigger | None
    clean_accuracy: Rate
    """On all test images."""
    attack_success: Rate | None
    """On triggered test images that are not of the target class; of the source class alone if the attack has
    one; for all_to_all on every image, towards the class after its own."""
    clean_target_rate: Rate | None
    """Share of images that are not of the target class that go there without the trigger."""
    other_classes_success: Rate | None
    """With a source class: success on triggered images of neither source nor target, if there are any."""
    clean_teacher_success: Rate | None
    """With a clean teacher: what the same trigger does to it. A searched one may work there too, and so far
    it is no backdoor."""
    recipe: TeacherRecipe
    poisoned: int
    """Training images that carry the trigger or the attacker's perturbation and belong to the attack; covers
    are not counted."""
    training_images: int
    curve: tuple[CurvePoint, ...]
    """Losses of the last training run."""
    seconds: float
    """Of the last training run."""
    clean: Teacher | None
    """The clean teacher that the attack started from, if it did; without what the recipe does afterwards."""


def matched_clean(recipe: TeacherRecipe) -> TeacherRecipe:
    """Return the recipe of the clean twin: same data, seed, initialization and epochs, no attack.

    Attacks that start from the twin train longer than it, by their fine-tuning.
    """
    return replace(recipe, attack=AttackRecipe())


def make_teacher(
    recipe: TeacherRecipe,
    training: LabelledImages,
    test: LabelledImages,
    *,
    monitor: Monitor,
    patterns: Path | None = None,
    clean: Teacher | None = None,
    resume: ResumeState | None = None,
    device: torch.device | str = "cpu",
) -> LabTeacher:
    """Train the teacher that ``recipe`` describes.

    Args:
        recipe: Everything but the data.
        training: Clean images; poisoned here.
        test: Clean images to measure on. Nothing is chosen by them.
        monitor: Hears of progress, and may stop the work at any step.
        patterns: Folder of published trigger pictures (``find_trigger``).
        clean: What ``matched_clean(recipe)`` gave, for attacks that start from a clean teacher; trained here
            if it is not given, or if ``recipe.after`` has been done to it: that is for the finished network.
        resume: A state that the monitor was offered by a call with the same arguments.
        device: Where to compute.

    Raises:
        RecipeError: If the recipe does not fit the data.
        TrainingFailed: If a loss is not finite.
        Interrupted: If the monitor asks to stop.
    """
    shop = Workshop(recipe, training, Phases(monitor, resume), torch.device(device))
    _check(shop, patterns)
    if recipe.after != AfterRecipe():
        clean = None
    trigger: Trigger | None = None
    if recipe.attack.kind == "none":
        made = afterwards(shop, "clean", _clean(shop))
    elif recipe.attack.kind in FINE_TUNED:
        clean = clean or shop.teacher(_clean(shop).classifier)
        made, trigger = fine_tuned(shop, clean, patterns)
        made = afterwards(shop, "poisoned", made)
    else:
        trigger = named_trigger(recipe, patterns)
        made = afterwards(shop, "poisoned", shop.train("poisoned", *poisoned_set(shop, trigger)))
    return _measured(shop, made, trigger, fitted(test, recipe.input_size), clean)


def check_attack(recipe: TeacherRecipe, training: LabelledImages, patterns: Path | None = None) -> None:
    """Raise what ``make_teacher`` would raise of an attack, before anything else is trained for it.

    Raises:
        RecipeError: If the attack does not fit the data.
    """
    _check(Workshop(recipe, training, Phases(SilentMonitor(), None), torch.device("cpu")), patterns)


def _check(shop: Workshop, patterns: Path | None) -> None:
    _check_labels(shop.recipe.attack, shop.num_classes)
    if shop.recipe.attack.stamps_named_trigger:
        named_trigger(shop.recipe, patterns)
    check_victims(shop)


def _clean(shop: Workshop) -> Trained:
    data = shop.training
    return shop.train("clean", data.images, data.labels)


def _check_labels(attack: AttackRecipe, num_classes: int) -> None:
    for name, label in (("target", attack.target_label), ("source", attack.source_label)):
        if label is not None and label >= num_classes:
            raise RecipeError(
                f"The {name} class is {label}, and there are {num_classes} classes.",
                code="label_out_of_range",
                hint=f"Give a label from 0 to {num_classes - 1}.",
            )
    if attack.kind != "none" and attack.source_label == attack.target_label:
        raise RecipeError(
            f"Source and target are both class {attack.target_label}: nothing would be flipped.",
            code="source_is_target",
            hint="Choose two different classes.",
        )
    if attack.source_label is not None and attack.kind not in _WITH_SOURCE:
        raise RecipeError(
            f"The attack {attack.kind} has no source class, and the recipe names one.",
            code="source_unused",
            hint="Leave attack.source_label out, or choose source_specific; without covers, cover_rate is 0.",
        )


def _measured(
    shop: Workshop, made: Trained, trigger: Trigger | None, test: LabelledImages, clean: Teacher | None
) -> LabTeacher:
    classifier, attack = made.classifier, shop.recipe.attack
    success = without = others = before = None
    if trigger is not None:
        success = _success(classifier, test, trigger, attack, shop.num_classes)
        if attack.kind != "all_to_all":
            without = clean_target_rate(classifier, test.images, test.labels, attack.target_label)
        if attack.source_label is not None:
            rest = (test.labels != attack.source_label) & (test.labels != attack.target_label)
            if rest.any():
                others = attack_success(classifier, test.images[rest], test.labels[rest], trigger)
        if attack.kind in FINE_TUNED and clean is not None:
            before = _success(clean.pixel_classifier(), test, trigger, attack, shop.num_classes)
    return LabTeacher(
        teacher=shop.teacher(classifier),
        trigger=trigger,
        clean_accuracy=accuracy(classifier, test.images, test.labels),
        attack_success=success,
        clean_target_rate=without,
        other_classes_success=others,
        clean_teacher_success=before,
        recipe=shop.recipe,
        poisoned=0 if trigger is None else int(attack.poison_rate * len(shop.training)),
        training_images=len(shop.training),
        curve=made.curve,
        seconds=made.seconds,
        clean=clean if attack.kind in FINE_TUNED else None,
    )


def _success(
    classifier: PixelClassifier, test: LabelledImages, trigger: Trigger, attack: AttackRecipe, classes: int
) -> Rate:
    if attack.kind == "all_to_all":
        return all_to_all_success(classifier, test.images, test.labels, trigger, num_classes=classes)
    return attack_success(classifier, test.images, test.labels, trigger, source_label=attack.source_label)
