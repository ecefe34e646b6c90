"""An attacker who knows MM-BD (``models.probes.mmbd``) and keeps the target's largest margin down.

The probe climbs from random images to the largest margin of every class; a backdoored class stands out. This
attacker climbs as well, a few steps in every step of the fine-tuning, and adds what the target's margins have
beyond those that the same climb finds on the clean teacher, in units of that teacher's margins. Wang et al.
(S&P 2024) discuss such an attacker and give no recipe; this one is ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.architectures import PixelClassifier, StagedClassifier
from models.attacks.teacher import TermBatch
from models.engine.seed import make_generator
from models.probes.mmbd import ascend, margins_of, step_share
from models.recipes.architecture import Normalization
from models.recipes.lab import MarginEvasionRecipe


class MarginEvasion:
    """Adds ``weight`` times the mean of ``max(0, r - r_clean) / r_all``, and the batch's loss as deployed.

    r are the target's margins after a climb, ``r_clean`` their mean on the clean teacher, ``r_all`` the mean
    over all classes there: a target whose own margin is small would else cost the network its accuracy. The
    batch is learned in evaluation mode, too. Without that, the weights came to obey the running statistics in
    the climbs and the batch's in the cross entropy: 11 points of accuracy and most of the backdoor were lost.
    """

    name = "margin_loss"

    def __init__(
        self,
        clean: PixelClassifier,
        recipe: MarginEvasionRecipe,
        *,
        size: int,
        num_classes: int,
        target_label: int,
        seed: int,
    ) -> None:
        """Measure the clean teacher's margins.

        Args:
            clean: In evaluation mode; left as it was.
            recipe: Weight and length of the climbs.
            size: Side of the images, S.
            num_classes: K.
            target_label: Whose margins are kept.
            seed: Of the random images; every step has its own.
        """
        self.recipe, self.size, self.target_label, self.seed = recipe, size, target_label, seed
        self.normalization: Normalization = clean.normalization
        self.step = 0
        found = [float(self.climbed(clean, label).mean().detach()) for label in range(num_classes)]
        self.allowed = found[target_label]
        self.scale = max(1e-3, sum(map(abs, found)) / len(found))

    def extra_images(self, step: int) -> None:
        """Note the step; ask for no further images."""
        self.step = step

    def __call__(self, network: StagedClassifier, batch: TermBatch) -> Tensor:
        """Return the loss to add; its gradient reaches the weights, not the images climbed to."""
        was_training = network.training
        network.eval()  # as the probe sees it; and random images must not move BatchNorm's statistics
        margins = self.climbed(PixelClassifier(network, self.normalization), self.target_label)
        deployed = cross_entropy(network(batch.x[: len(batch.labels)]).float(), batch.labels)
        network.train(was_training)
        return deployed + self.recipe.weight * (margins - self.allowed).clamp_min(0).mean() / self.scale

    def climbed(self, classifier: PixelClassifier, label: int) -> Tensor:
        """Return a class's margins, (N,), at images found by climbing from this step's random ones."""
        device = next(classifier.parameters()).device
        generator = make_generator(self.seed, f"climb {self.step}")
        shape = (self.recipe.starts, 3, self.size, self.size)
        inputs = torch.rand(shape, generator=generator).to(device)
        labels = torch.full((len(inputs),), label, device=device)
        diagonal = math.sqrt(inputs[0].numel())
        for step in range(self.recipe.climb):
            length = diagonal * step_share(step, self.recipe.climb)
            inputs, _ = ascend(classifier, inputs, labels, length)
        return margins_of(classifier(inputs).float(), labels)
