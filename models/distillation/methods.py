"""Running each method on what a job gives. A method is one entry of ``METHODS``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from models.architectures import StagedClassifier
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.data.split import split_for_measuring
from models.distillation.distilled import Distilled
from models.distillation.feature import distill_feature
from models.distillation.inversion.distiller import distill_by_inversion
from models.distillation.out_of_distribution import distill_ood
from models.distillation.robustkd.distiller import distill_robustkd
from models.distillation.vanilla import distill_vanilla
from models.distillation.zero_shot import distill_zskt
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import derive_seed
from models.errors import RecipeError
from models.recipes.abd import AbdRecipe
from models.recipes.job import Recipe
from models.recipes.plan import DATA_FREE_NAMES
from models.triggers import Trigger


class Conditions(TypedDict):
    """What every method takes by name."""

    seed: int
    monitor: Monitor
    resume: ResumeState | None


@dataclass(frozen=True, eq=False)
class Run:
    """What every method is given."""

    teacher: Teacher
    student: StagedClassifier
    data: AuditData
    recipe: Recipe
    abd: AbdRecipe | None
    """The defense of a data-free method, or None for an undefended student."""
    monitor: Monitor
    recovered: tuple[Trigger, ...]
    resume: ResumeState | None

    @property
    def conditions(self) -> Conditions:
        """Seed, who watches, and where to go on."""
        return {"seed": self.recipe.seed, "monitor": self.monitor, "resume": self.resume}


def split_images(data: AuditData, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Return the indices of the clean images that a method may train on, and of those that measure students.

    Without labels the images count as one class.

    Raises:
        RecipeError: If there are no clean images.
    """
    if data.images is None:
        raise RecipeError(
            "This method trains on clean images and none were given.",
            code="data_missing",
            hint=f"Upload a dataset with role clean_labelled, or choose method {DATA_FREE_NAMES}.",
        )
    labels = data.labels if data.labels is not None else torch.zeros(len(data.images), dtype=torch.int64)
    seed = derive_seed(recipe.seed, "measuring split")
    return split_for_measuring(labels, share=recipe.verify.holdout_share, seed=seed)


def _ood(run: Run) -> Distilled:
    patches = make_patches(
        run.data.photographs or builtin_photographs(),
        count=run.recipe.ood.patches,
        size=run.teacher.spec.input_size,
        seed=derive_seed(run.recipe.seed, "training patches"),
        style=run.recipe.ood.patch_style,
        sharp_share=run.recipe.ood.sharp_share,
    )
    return distill_ood(
        run.teacher,
        run.student,
        patches,
        run.recipe.ood,
        defense=run.abd,
        **run.conditions,
    )


def _zskt(run: Run) -> Distilled:
    return distill_zskt(run.teacher, run.student, run.recipe.zskt, defense=run.abd, **run.conditions)


def _cmi(run: Run) -> Distilled:
    return distill_by_inversion(run.teacher, run.student, run.recipe.cmi, defense=run.abd, **run.conditions)


def _fast(run: Run) -> Distilled:
    return distill_by_inversion(run.teacher, run.student, run.recipe.fast, defense=run.abd, **run.conditions)


def _vanilla(run: Run) -> Distilled:
    images, labels = _training_images(run)
    return distill_vanilla(
        run.teacher,
        run.student,
        images,
        labels,
        run.recipe.vanilla,
        **run.conditions,
    )


def _feature(run: Run) -> Distilled:
    images, labels = _labelled_images(run)
    return distill_feature(
        run.teacher,
        run.student,
        images,
        labels,
        run.recipe.robustkd.feature,
        **run.conditions,
    )


def _robustkd(run: Run) -> Distilled:
    images, labels = _labelled_images(run)
    return distill_robustkd(
        run.teacher,
        run.student,
        images,
        labels,
        run.recipe.robustkd,
        **run.conditions,
        recovered_triggers=run.recovered,
    )


def _training_images(run: Run) -> tuple[Tensor, Tensor | None]:
    training, _ = split_images(run.data, run.recipe)
    images = run.data.images
    assert images is not None, "split_images refused it"  # noqa: S101
    return images[training], None if run.data.labels is None else run.data.labels[training]


def _labelled_images(run: Run) -> tuple[Tensor, Tensor]:
    images, labels = _training_images(run)
    if labels is None:
        raise RecipeError(
            "This method trains on labels and none were given.",
            code="data_missing",
            hint=f"Upload a dataset with role clean_labelled, or choose method {DATA_FREE_NAMES}.",
        )
    return images, labels


#: By the name a recipe gives; ``feature`` is RobustKD's control.
METHODS: dict[str, Callable[[Run], Distilled]] = {
    "ood": _ood,
    "zskt": _zskt,
    "cmi": _cmi,
    "fast": _fast,
    "vanilla": _vanilla,
    "feature": _feature,
    "robustkd": _robustkd,
}
