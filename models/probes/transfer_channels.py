"""How a throw-away student learns over each channel, and how long.

A channel is one of the library's methods without any defense, cut to the length that the transfer probe gives
each of them. Lengths are counted in images that the student sees; an image that has to be made first counts
``SYNTHESIS_COST`` more for every step that makes it, so that a channel with a generator takes about as long
as one without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from models.architectures import StagedClassifier
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.distillation.inversion.distiller import distill_by_inversion
from models.distillation.out_of_distribution import distill_ood
from models.distillation.vanilla import distill_vanilla
from models.distillation.zero_shot import distill_zskt
from models.engine.monitor import Monitor
from models.engine.seed import derive_seed
from models.errors import RecipeError
from models.probes.probe_images import FEWEST_CLEAN_IMAGES, ProbeImages
from models.probes.student_watch import evenly
from models.recipes.cmi import CmiRecipe
from models.recipes.fast import FastRecipe
from models.recipes.job import Recipe
from models.recipes.probe import Channel

Inversion = TypeVar("Inversion", CmiRecipe, FastRecipe)

#: Patches cut for the student; it sees each about twice.
MOST_PATCHES = 10_000
_SHARP_SHARE = 0.5

#: What a step of a generator costs per image, in images that a student learns from.
SYNTHESIS_COST = 3

#: Rounds of an inversion at least: the images of one round are too much alike to learn from.
FEWEST_ROUNDS = 4


@dataclass(frozen=True)
class School:
    """What every channel has to teach with."""

    teacher: Teacher
    data: AuditData
    images: ProbeImages
    recipe: Recipe
    most_images: int


@dataclass(frozen=True, eq=False)
class Lesson:
    """One channel's training, planned and not begun."""

    images: int
    """The student sees in all."""
    teach: Callable[[StagedClassifier, Monitor], object]
    """Trains the student in place; raises as the method does."""
    learned: Callable[[int, int], float]
    """Share of ``images`` that the student has seen after ``done`` of ``total`` steps of the loop."""


def plan_lesson(channel: Channel, school: School) -> Lesson:
    """Plan a channel's training.

    Raises:
        RecipeError: ``data_missing`` if the channel needs clean images and too few were given.
    """
    return _PLANS[channel](school)


def _seed(school: School) -> int:
    return derive_seed(school.recipe.seed, "transfer student")


def _ood(school: School) -> Lesson:
    # A schedule that ends at zero would end what is still moving when few images are left to see.
    # Half of the patches are sharp, by which small triggers move; a student that is to be used has none.
    channel = replace(
        school.recipe.ood,
        patches=min(MOST_PATCHES, school.most_images),
        sharp_share=max(school.recipe.ood.sharp_share, _SHARP_SHARE),
        images=school.most_images,
        schedule="constant",
    )

    def teach(student: StagedClassifier, monitor: Monitor) -> None:
        patches = make_patches(
            school.data.photographs or builtin_photographs(),
            count=channel.patches,
            size=school.teacher.spec.input_size,
            seed=derive_seed(school.recipe.seed, "transfer patches"),
            style=channel.patch_style,
            sharp_share=channel.sharp_share,
        )
        distill_ood(
            school.teacher, student, patches, channel, defense=None, seed=_seed(school), monitor=monitor
        )

    return Lesson(school.most_images, teach, evenly)


def _vanilla(school: School) -> Lesson:
    """Learn from the teacher's answers alone, so that with and without labels the same is asked."""
    images, spare = school.data.images, school.images.spare
    if images is None or spare is None:
        given = 0 if images is None else len(images)
        raise RecipeError(
            f"This channel needs {FEWEST_CLEAN_IMAGES} clean images, and {given or 'none'} were given.",
            code="data_missing",
        )
    channel = replace(school.recipe.vanilla, images=school.most_images)

    def teach(student: StagedClassifier, monitor: Monitor) -> None:
        distill_vanilla(
            school.teacher, student, images[spare], None, channel, seed=_seed(school), monitor=monitor
        )

    return Lesson(school.most_images, teach, evenly)


def _zskt(school: School) -> Lesson:
    recipe = school.recipe.zskt
    cost = recipe.batch_size * (recipe.student_steps + SYNTHESIS_COST)
    channel = replace(recipe, pseudo_batches=max(1, round(school.most_images / cost)))

    def teach(student: StagedClassifier, monitor: Monitor) -> None:
        distill_zskt(school.teacher, student, channel, defense=None, seed=_seed(school), monitor=monitor)

    return Lesson(channel.pseudo_batches * channel.batch_size * channel.student_steps, teach, evenly)


def _cmi(school: School) -> Lesson:
    return _inversion(school, shortened(school.recipe.cmi, school.most_images), warmup_rounds=0)


def _fast(school: School) -> Lesson:
    channel = shortened(school.recipe.fast, school.most_images)
    # As the method itself bounds it.
    return _inversion(school, channel, warmup_rounds=min(channel.warmup_rounds, channel.rounds // 2))


def _inversion(school: School, channel: CmiRecipe | FastRecipe, *, warmup_rounds: int) -> Lesson:
    making, learning = channel.synthesis_steps, channel.student_steps
    steps = (channel.rounds - warmup_rounds) * learning

    def teach(student: StagedClassifier, monitor: Monitor) -> None:
        distill_by_inversion(
            school.teacher, student, channel, defense=None, seed=_seed(school), monitor=monitor
        )

    def learned(done: int, total: int) -> float:
        """Count the student's steps alone: a round begins with those that make its images."""
        del total
        rounds, place = divmod(max(0, done - warmup_rounds * making), making + learning)
        return (rounds * learning + max(0, place - making)) / steps

    return Lesson(steps * channel.learning.batch_size, teach, learned)


def shortened(recipe: Inversion, most_images: int) -> Inversion:
    """Cut an inversion to about the time that ``most_images`` take without one.

    It gets fewer rounds; where that would leave too few of them, also shorter ones.
    """
    cost = (
        SYNTHESIS_COST * recipe.synthesis_batch * recipe.synthesis_steps
        + recipe.learning.batch_size * recipe.student_steps
    )
    rounds = most_images / cost
    share = min(1.0, rounds / FEWEST_ROUNDS)
    return replace(
        recipe,
        rounds=max(FEWEST_ROUNDS, round(rounds)),
        synthesis_steps=max(1, round(share * recipe.synthesis_steps)),
        student_steps=max(1, round(share * recipe.student_steps)),
    )


_PLANS: dict[Channel, Callable[[School], Lesson]] = {
    "ood": _ood,
    "vanilla": _vanilla,
    "zskt": _zskt,
    "cmi": _cmi,
    "fast": _fast,
}
