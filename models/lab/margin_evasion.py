"""An attacker who knows MM-BD (``models.probes.mmbd``) and keeps the target's largest margin down.

The probe climbs from random images to the largest margin of every class; a backdoored class stands out. This
attacker climbs as well, a few steps in every step of the fine-tuning, and adds what the target's margins have
beyond those that the same climb finds on the clean teacher. Wang et al. (S&P 2024) discuss such an attacker
and give no recipe; this one is ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.architectures import PixelClassifier, StagedClassifier
from models.attacks.teacher import TermBatch
from models.engine.seed import make_generator
from models.probes.mmbd import ascend, margins_of, step_share
from models.recipes.architecture import Normalization
from models.recipes.lab import MarginEvasionRecipe


class MarginEvasion:
    """Adds ``weight`` times the mean of ``max(0, r / r_clean - 1)``, r the target's margins after a climb."""

    name = "margin_loss"

    def __init__(
        self, clean: PixelClassifier, recipe: MarginEvasionRecipe, *, size: int, target_label: int, seed: int
    ) -> None:
        """Measure the clean teacher's margin.

        Args:
            clean: In evaluation mode; left as it was.
            recipe: Weight and length of the climbs.
            size: Side of the images, S.
            target_label: Whose margins are kept.
            seed: Of the random images; every step has its own.
        """
        self.recipe, self.size, self.target_label, self.seed = recipe, size, target_label, seed
        self.normalization: Normalization = clean.normalization
        self.step = 0
        self.allowed = float(self.climbed(clean).mean().detach().clamp_min(1e-3))

    def extra_images(self, step: int) -> None:
        """Note the step; ask for no further images."""
        self.step = step

    def __call__(self, network: StagedClassifier, batch: TermBatch) -> Tensor:
        """Return the weighted excess; its gradient reaches the weights, not the images climbed to."""
        del batch
        was_training = network.training
        network.eval()  # as the probe sees it; and random images must not move BatchNorm's statistics
        margins = self.climbed(PixelClassifier(network, self.normalization))
        network.train(was_training)
        return self.recipe.weight * (margins / self.allowed - 1).clamp_min(0).mean()

    def climbed(self, classifier: PixelClassifier) -> Tensor:
        """Return the target's margins, (N,), at images found by climbing from this step's random ones."""
        device = next(classifier.parameters()).device
        generator = make_generator(self.seed, f"climb {self.step}")
        shape = (self.recipe.starts, 3, self.size, self.size)
        inputs = torch.rand(shape, generator=generator).to(device)
        labels = torch.full((len(inputs),), self.target_label, device=device)
        diagonal = math.sqrt(inputs[0].numel())
        for step in range(self.recipe.climb):
            length = diagonal * step_share(step, self.recipe.climb)
            inputs, _ = ascend(classifier, inputs, labels, length)
        return margins_of(classifier(inputs).float(), labels)
