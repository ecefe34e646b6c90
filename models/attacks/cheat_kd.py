"""Cheat-KD: a trigger that drives a few channels of the teacher to one value, for feature matching to copy.

algorithms.md 5.2. Two variants, because the published code does not do what its text says. ``faithful``: the
mask is drawn once and stays (the code binds the clamped mask to the same name, so its optimizer moves a
tensor nobody uses); sample 0 of the batch, the last layer and the strongest channel alone count; the pattern
is unbounded and wraps modulo 256 when it is saved. ``intended``: squared deviation over the whole batch, all
layers and a tenth of the channels, with pattern and mask learned inside their bounds. Both then poison the
fine-tuning of a clean teacher (5.1); the adaptive variant adds ``models.attacks.adaptive_low_variance``.

Departure of ``intended``: channels and the values they are driven to are those of clean images and stay,
because the text speaks of a fixed value. The code takes the target anew from every triggered batch, so it
moves with the trigger that it is to guide, and may run away from it: on a clean WRN-16-2 of CIFAR-10 (6
epochs, seed 0, 300 steps, means of 5) such a loss rose from 1.25 to 2.32, where ours falls from 1.01 to .66.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.architectures import PixelClassifier
from models.attacks.feature_trigger import FeatureTriggerTask, search_feature_trigger, to_levels
from models.attacks.latent_backdoor import mean_features
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import make_generator
from models.recipes.lab import CheatRecipe
from models.triggers.base import Trigger


def search_cheat_trigger(
    classifier: PixelClassifier,
    images: Tensor,
    recipe: CheatRecipe,
    *,
    target_label: int,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
) -> Trigger:
    """Search the trigger on a clean teacher.

    Args:
        classifier: The clean teacher; frozen meanwhile.
        images: uint8 (N, 3, H, W), of any class.
        recipe: Variant and length.
        target_label: Named by the trigger; the search does not use it.
        seed: Of start and batches.
        monitor: Told of every step.
        resume: A state that the monitor was offered by a run of the same arguments.

    Returns:
        A blended trigger on the grid of 255 levels, as its picture will hold it.
    """
    faithful = recipe.variant == "faithful"
    task = FeatureTriggerTask(
        classifier,
        images,
        StrongestChannel() if faithful else _driven(classifier, images, recipe, seed),
        opacity=recipe.opacity,
        learning_rate=recipe.learning_rate,
        batch_size=recipe.batch_size,
        seed=seed,
        learns_mask=not faithful,
        bounds_pattern=not faithful,
    )
    pattern, mask = search_feature_trigger(task, steps=recipe.steps, monitor=monitor, resume=resume)
    pattern = wrapped(pattern) if faithful else to_levels(pattern)
    return Trigger(f"cheat_kd_{recipe.variant}", "blend", pattern, to_levels(mask), target_label)


def wrapped(pattern: Tensor) -> Tensor:
    """Return what a cast of ``255 p`` to a byte leaves: values outside [0, 1] come back at the other end."""
    return torch.remainder((pattern * 255.0).trunc(), 256.0) / 255.0


class DrivenChannels:
    """Squared distance of the strongest channels of every layer from that layer's largest channel mean.

    Strongest and largest on clean images: a target that stays while the trigger moves.
    """

    def __init__(self, clean: list[Tensor], share: float) -> None:
        """Choose.

        Args:
            clean: Mean feature of clean images, (C_i, H_i, W_i) per stage, before its ReLU.
            share: Of each layer's channels that are driven; at least one is.
        """
        means = [layer.mean(dim=(1, 2)) for layer in clean]
        self.channels = [mean.topk(max(1, round(share * len(mean)))).indices for mean in means]
        self.targets = [mean.max() for mean in means]

    def __call__(self, features: list[Tensor]) -> Tensor:
        """Return the mean over batch, channels and positions, summed over the layers."""
        distances = [
            (layer[:, chosen] - target).square().mean()
            for layer, chosen, target in zip(features, self.channels, self.targets, strict=True)
        ]
        return torch.stack(distances).sum()

    def state_dict(self) -> dict[str, Any]:
        """Return the chosen channels and their targets: measured anew, they could differ in the last bit."""
        return {"channels": self.channels, "targets": self.targets}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the chosen channels and their targets, to where the targets were."""
        devices = [target.device for target in self.targets]
        self.channels = [each.to(device) for each, device in zip(state["channels"], devices, strict=True)]
        self.targets = [each.to(device) for each, device in zip(state["targets"], devices, strict=True)]


class StrongestChannel:
    """The published code's loss: one image, the last layer, one channel."""

    def __init__(self) -> None:
        """Choose the channel on the first batch."""
        self.channel: int | None = None

    def __call__(self, features: list[Tensor]) -> Tensor:
        """Return the sum over positions of the squared distance, over the batch size."""
        last = features[-1]
        means = last.detach().mean(dim=(0, 2, 3))
        if self.channel is None:
            self.channel = int(means.argmax())
        return (last[0, self.channel] - means.max()).square().sum() / len(last)

    def state_dict(self) -> dict[str, Any]:
        """Return the chosen channel."""
        return {"channel": self.channel}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the chosen channel."""
        self.channel = state["channel"]


def _driven(classifier: PixelClassifier, images: Tensor, recipe: CheatRecipe, seed: int) -> DrivenChannels:
    """Choose channels and values on one batch of clean images."""
    chosen = torch.randperm(len(images), generator=make_generator(seed, "driven channels"))
    return DrivenChannels(mean_features(classifier, images[chosen[: recipe.batch_size]]), recipe.channels)
