"""Latent backdoor: triggered images have the features of the target class, not only its label.

Yao et al., CCS 2019, in the minimal form of algorithms.md 5.3: the trigger covers the image at a bounded
opacity instead of a square, the mean feature of the target's images stands for random pairs, and the
fine-tuning couples the spatial mean of the last stage. Unlike the CKD repository's variant, the teacher's own
training has the coupling, as the paper's has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from models.architectures import PixelClassifier, StagedClassifier
from models.attacks.feature_trigger import (
    FeatureTriggerTask,
    features_of,
    search_feature_trigger,
    to_levels,
)
from models.attacks.teacher import TermBatch
from models.engine.frozen import frozen
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import make_generator
from models.metrics.prediction import to_pixels
from models.recipes.lab import LatentRecipe
from models.triggers.base import Trigger


def search_latent_trigger(
    classifier: PixelClassifier,
    images: Tensor,
    targets: list[Tensor],
    recipe: LatentRecipe,
    *,
    target_label: int,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
) -> Trigger:
    """Search a trigger under which other images look like the target to every layer.

    Args:
        classifier: The clean teacher; frozen meanwhile.
        images: uint8 (N, 3, H, W), not of the target class.
        targets: From ``mean_features`` of the target class.
        recipe: Length and bounds.
        target_label: Class the attacker wants.
        seed: Of start and batches.
        monitor: Told of every step.
        resume: A state that the monitor was offered by a run of the same arguments.

    Returns:
        A blended trigger on the grid of 255 levels, as its picture will hold it.
    """
    task = FeatureTriggerTask(
        classifier,
        images,
        NearTarget(targets),
        opacity=recipe.opacity,
        learning_rate=recipe.learning_rate,
        batch_size=recipe.batch_size,
        seed=seed,
    )
    pattern, mask = search_feature_trigger(task, steps=recipe.steps, monitor=monitor, resume=resume)
    return Trigger("latent", "blend", to_levels(pattern), to_levels(mask), target_label)


@torch.no_grad()
def mean_features(classifier: PixelClassifier, images: Tensor) -> list[Tensor]:
    """Return the mean feature of images at each stage, (C_i, H_i, W_i), before its ReLU."""
    with frozen(classifier.network):
        return [layer.mean(dim=0) for layer in features_of(classifier, to_pixels(images, classifier))]


class NearTarget:
    """Mean squared distance from the target's mean features, summed over the layers."""

    def __init__(self, targets: list[Tensor]) -> None:
        """Aim at ``targets``, one (C_i, H_i, W_i) per stage."""
        self.targets = targets

    def __call__(self, features: list[Tensor]) -> Tensor:
        """Return the distance."""
        distances = [
            (layer - target).square().mean() for layer, target in zip(features, self.targets, strict=True)
        ]
        return torch.stack(distances).sum()

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the targets are given."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up nothing."""


class FeatureCoupling:
    """Pulls the last stage's spatial mean of triggered images to the target's, while the teacher learns."""

    name = "feature_loss"

    def __init__(
        self, images: Tensor, trigger: Trigger, target: Tensor, recipe: LatentRecipe, *, seed: int
    ) -> None:
        """Stamp and couple.

        Args:
            images: uint8 (N, 3, H, W), not of the target class.
            trigger: What is stamped.
            target: Mean feature of the target class at the last stage, (C, H, W), of the clean teacher.
            recipe: Weight, and images per step.
            seed: Of the choice of images.
        """
        self.images, self.trigger, self.recipe, self.seed = images, trigger, recipe, seed
        self.target = target.mean(dim=(1, 2))

    def extra_images(self, step: int) -> Tensor:
        """Return triggered images; in one batch with the others, so that BatchNorm sees one mixture."""
        generator = make_generator(self.seed, f"coupling {step}")
        chosen = torch.randint(len(self.images), (self.recipe.batch_size,), generator=generator)
        return self.trigger.stamp(self.images[chosen])

    def __call__(self, network: StagedClassifier, batch: TermBatch) -> Tensor:
        """Return the weighted mean squared distance."""
        stages = batch.outputs.stages
        last = len(stages) - 1
        features = network.prerelu(last, stages[last][len(batch.labels) :]).float().mean(dim=(2, 3))
        return self.recipe.feature_weight * mse_loss(features, self.target.expand_as(features))
