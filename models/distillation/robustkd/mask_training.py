"""What all masks of one run share: images, batches, length, and how a mask starts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.architectures import PixelClassifier
from models.data.split import split_for_measuring
from models.distillation.labelled_batches import LabelledBatches
from models.distillation.robustkd.canaries import make_canaries
from models.distillation.robustkd.detoxification import DetoxificationTask, mean_stage_outputs
from models.distillation.robustkd.feature_mask import FeatureMask
from models.engine.seed import derive_seed, make_generator
from models.errors import RecipeError
from models.recipes.robustkd import RobustKDRecipe

_EDITED_AT_THE_END = {"last": 1, "last_two": 2}


def judging_obstacle(labels: Tensor) -> str:
    """Return why no images of these labels can judge a detoxified teacher, as a sentence; empty if they can.

    Of two classes at least one image each must be held out: on images of one class every network that names
    it is right, and a trigger that leads to it has nothing to move.

    Args:
        labels: int64 (N,), of the images that RobustKD is given.
    """
    if int((labels.bincount() >= 2).sum()) >= 2:
        return ""
    return "RobustKD judges the detoxified teacher on labelled images of two classes or more, two of each."


def require_judges(labels: Tensor) -> None:
    """Refuse labels of which no images can judge a detoxified teacher.

    Raises:
        RecipeError: ``too_few_images`` if ``judging_obstacle`` names one.
    """
    obstacle = judging_obstacle(labels)
    if obstacle:
        raise RecipeError(
            obstacle,
            code="too_few_images",
            hint="Give images of all classes, better a hundred each, or choose a data-free method.",
        )


class MaskTraining:
    """Makes masks, for the suspect and its copy with canaries, that start alike and see the same batches."""

    def __init__(
        self, teacher: PixelClassifier, images: Tensor, labels: Tensor, recipe: RobustKDRecipe, *, seed: int
    ) -> None:
        """Divide the images and draw the canaries.

        The images that judge are kept from the masks, not from the suspect: where it was itself trained on
        the given images, it knows them, and an edit loses that knowledge together with the accuracy that
        counts. The limit ``max_accuracy_drop`` then also charges the suspect's generalization gap, and a
        large bound may be refused for it. Images that the suspect has never seen judge fairly.

        Args:
            teacher: The suspect, frozen and in eval mode.
            images: Clean, uint8 (N, 3, H, W).
            labels: int64 (N,).
            recipe: Limits and lengths.
            seed: Of split, order, mean features, canaries and dropout.

        Raises:
            RecipeError: ``too_few_images`` or ``labels_mismatch``.
        """
        require_judges(labels)
        training, held_out = split_for_measuring(
            labels, share=recipe.holdout_share, seed=derive_seed(seed, "threshold search")
        )
        self.teacher = teacher
        self.recipe = recipe
        self.images = images[held_out]
        self.labels = labels[held_out]
        # Crops and mirroring of the distillation, because masks know positions (algorithms.md 8, item 45).
        self.batches = LabelledBatches(
            teacher,
            images[training],
            labels[training],
            batch_size=recipe.mask_batch_size,
            crop_padding=recipe.feature.crop_padding,
            horizontal_flip=recipe.feature.horizontal_flip,
            seed=derive_seed(seed, "masks"),
        )
        self.steps = self.batches.steps(epochs=recipe.rounds, max_images=recipe.max_images)
        order = torch.randperm(len(training), generator=make_generator(seed, "mean features"))
        self.mean_images = images[training[order[: recipe.mean_images]]]
        self.dropout_seed = derive_seed(seed, "dropout")
        self.canaries = make_canaries(recipe.canaries, images, labels, seed=seed)

    def start(self, classifier: PixelClassifier, threshold: float) -> FeatureMask:
        """Return an untrained mask for the suspect or its copy, at its own mean features."""
        means = mean_stage_outputs(classifier, self.mean_images)
        edited = _EDITED_AT_THE_END.get(self.recipe.edited_stages, len(means))
        first = max(0, len(means) - edited)
        return FeatureMask(means, threshold=threshold, mode=self.recipe.mode, first=first)

    def restore(self, threshold: float, state: Mapping[str, Tensor]) -> FeatureMask:
        """Return a trained mask of the suspect from its state, to be used and no longer trained."""
        mask = self.start(self.teacher, threshold)
        mask.load_state_dict(dict(state))
        return mask.requires_grad_(False)

    def task(self, classifier: PixelClassifier, mask: FeatureMask) -> DetoxificationTask:
        """Return the training of ``mask`` on the suspect or its copy."""
        return DetoxificationTask(classifier, mask, self.batches, self.recipe)
