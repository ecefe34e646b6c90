"""A nasty teacher: the owner's network made over so that nobody profits from distilling it."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Interval, Len

from models.errors import RecipeError
from models.recipes.architecture_catalog import validate_student_name
from models.recipes.base import recipe

ProtectStart = Literal["scratch", "original"]
ProtectSchedule = Literal["cosine", "constant", "milestones"]
StudentOptimizer = Literal["adam", "sgd"]
Milestones = Annotated[tuple[Annotated[float, Interval(gt=0.0, lt=1.0)], ...], Len(0, 8)]


@recipe
class HarmRecipe:
    """The students that a thief would train; they measure the protection and are thrown away."""

    architecture: Annotated[str, Len(1, 64)] = "plain-cnn-w16"
    """Registry name. A weak student shows the harm best: a strong one learns from the labels anyway."""
    repetitions: Annotated[int, Interval(ge=1, le=20)] = 1
    """Times each student is trained, with another seed each; from two on, the spread is reported."""
    temperature: Annotated[float, Interval(gt=0.0, le=100.0)] | None = None
    """Of the student's distillation; None takes the one that the protection was trained with."""
    distillation_weight: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.9
    """Share of the distillation term (times T squared); the rest is cross-entropy with the labels."""
    epochs: Annotated[int, Interval(ge=1, le=1_000)] = 40
    """Passes over the training images, unless ``max_images`` ends the run before."""
    max_images: Annotated[int, Interval(ge=100, le=100_000_000)] = 40_000
    """Images shown to one student at most."""
    batch_size: Annotated[int, Interval(ge=2, le=4_096)] = 64
    """Images per step."""
    optimizer: StudentOptimizer = "adam"
    """``adam``, or ``sgd`` with momentum 0.9."""
    learning_rate: Annotated[float, Interval(gt=0.0, le=1.0)] = 2e-3
    """Of the optimizer at the first step."""
    weight_decay: Annotated[float, Interval(ge=0.0, le=0.1)] = 0.0
    """L2 penalty on the weights."""
    schedule: ProtectSchedule = "cosine"
    """How the rate falls; ``milestones`` multiplies it by ``decay`` at each of ``milestones``."""
    milestones: Milestones = ()
    """Shares of the run."""
    decay: Annotated[float, Interval(gt=0.0, lt=1.0)] = 0.2
    """Factor on the rate at each milestone."""


@recipe
class ProtectRecipe:
    """Self-undermining distillation (Ma et al., ICLR 2021), sized for minutes instead of 200 epochs."""

    omega: Annotated[float, Interval(gt=0.0, le=10.0)] = 0.04
    """Weight of the term that drives the softened answers away. Larger: more harm to students, less accuracy
    of the network itself. The paper uses 0.004 to 0.04."""
    temperature: Annotated[float, Interval(gt=0.0, le=100.0)] = 4.0
    """At which the answers differ; the paper takes 4 for 10 classes, 20 for 100 and 200. The term carries T
    squared."""
    # On digits (WRN-10-2, 312 steps, omega .04) the original's weights gave no less accuracy and more harm:
    # students at .883 and .889 (two seeds), from new weights at .889 and .936.
    start: ProtectStart = "original"
    """Weights to begin with: the ``original``'s, or new ones from ``scratch``, as in the paper."""
    epochs: Annotated[int, Interval(ge=1, le=1_000)] = 40
    """Passes over the training images, unless ``max_images`` ends the run before."""
    max_images: Annotated[int, Interval(ge=100, le=100_000_000)] = 60_000
    """Images shown at most."""
    batch_size: Annotated[int, Interval(ge=2, le=4_096)] = 64
    """Images per step; the paper takes 128 for 78,000 steps."""
    learning_rate: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.1
    """Of SGD with momentum 0.9 at the first step."""
    weight_decay: Annotated[float, Interval(ge=0.0, le=0.1)] = 5e-4
    """L2 penalty on the weights."""
    schedule: ProtectSchedule = "cosine"
    """How the rate falls; ``milestones`` multiplies it by ``decay`` at each of ``milestones``."""
    milestones: Milestones = ()
    """Shares of the run."""
    decay: Annotated[float, Interval(gt=0.0, lt=1.0)] = 0.1
    """Factor on the rate at each milestone."""
    crop_padding: Annotated[int, Interval(ge=0, le=16)] = 4
    """Mirrored pixels around an image before the random crop, at side 32; scaled with the side."""
    horizontal_flip: bool = False
    """Mirror half of the images; wrong for digits, signs and letters. Students see the same images."""
    holdout_share: Annotated[float, Interval(ge=0.05, le=0.9)] = 0.2
    """Share of the labelled images kept from all training here, to measure on."""
    max_accuracy_drop: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.02
    """How much accuracy on the held-out images the protected network may lose against the original."""
    min_harm: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.01
    """How much less accurate a student of this network must be than one of the labels alone, and than one of
    the original."""
    harm: HarmRecipe = field(default_factory=HarmRecipe)
    """The students that measure the protection."""


def check_protection(recipe: ProtectRecipe, *, labelled: bool) -> None:
    """Refuse what a protection cannot do, before anything is computed.

    Args:
        recipe: The job's part for it.
        labelled: Whether labelled clean images were given.

    Raises:
        RecipeError: ``data_missing`` without labelled images; ``architecture_unknown`` or ``recipe_invalid``
            if the students' network does not exist or can only be a teacher; ``recipe_invalid`` if
            milestones are asked for and none are given, or are not in order.
    """
    if not labelled:
        raise RecipeError(
            "A protected network is trained on labelled clean images and none were given.",
            code="data_missing",
            hint="Give the images that the network was trained for, with labels: role clean_labelled.",
        )
    validate_student_name(recipe.harm.architecture)
    for part, name in ((recipe, "protect"), (recipe.harm, "protect.harm")):
        ordered = all(a < b for a, b in zip(part.milestones, part.milestones[1:], strict=False))
        if not ordered or (part.schedule == "milestones") != bool(part.milestones):
            raise RecipeError(
                f"{name}.milestones {list(part.milestones)} do not fit the schedule {part.schedule}.",
                code="recipe_invalid",
                hint="Give rising shares of the run with schedule milestones, and none with another.",
            )
