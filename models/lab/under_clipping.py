"""An attacker who knows the clipped teacher (docs/methods.md) and trains the backdoor under its bounds.

The defender clamps every BatchNorm's output at a quantile over surrogate images. So the attacker takes such
bounds and learns every batch twice: by the network as it is, which is what gets published, and by the same
weights with the bounds in place, which is what a student will learn from. Our own attack on our own defense;
no paper describes it.
"""

from __future__ import annotations

import copy
from itertools import chain

from torch import Tensor
from torch.nn.functional import cross_entropy

from models.architectures import StagedClassifier
from models.architectures.clipped_norm import clip_norms
from models.attacks.teacher import TermBatch
from models.checkpoints.load import Teacher
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.distillation.clipping.bounds import ChannelQuantiles
from models.engine.seed import derive_seed, make_generator
from models.recipes.lab import UnderClippingRecipe


class UnderClipping:
    """Adds ``weight`` times the cross entropy of the bounded network on the training batch."""

    name = "clipped_loss"

    def __init__(self, teacher: Teacher, recipe: UnderClippingRecipe, *, seed: int) -> None:
        """Take the bounds that ``teacher`` has now; they stay for the whole run.

        Args:
            teacher: As the run begins; left as it was.
            recipe: Quantile, surrogate images, weight.
            seed: Of the surrogate images.

        Raises:
            RecipeError: ``clipping_impossible`` if the teacher has no BatchNorm.
        """
        patches = make_patches(
            builtin_photographs(),
            count=recipe.images,
            size=teacher.spec.input_size,
            seed=derive_seed(seed, "attacker's patches"),
            style=recipe.patch_style,
        )
        x = teacher.pixel_classifier().normalize(patches.to(teacher.device).float() / 255.0)
        quantiles = ChannelQuantiles(teacher, x, make_generator(seed, "attacker's positions"))
        self.ceilings = {name: quantiles.at(name, recipe.quantile) for name in quantiles.sorted}
        self.weight = recipe.weight
        self._plain: StagedClassifier | None = None
        self._bounded: StagedClassifier | None = None

    def extra_images(self, step: int) -> None:
        """Ask for no further images."""
        del step

    def __call__(self, network: StagedClassifier, batch: TermBatch) -> Tensor:
        """Return the weighted cross entropy; its gradient reaches the weights of ``network``."""
        logits = self.bounded(network)(batch.x[: len(batch.labels)]).float()
        return self.weight * cross_entropy(logits, batch.labels)

    def bounded(self, network: StagedClassifier) -> StagedClassifier:
        """Return ``network`` with bounds; weights and BatchNorm statistics are the same tensors.

        So in training mode its passes move the statistics that are published, as those of ``network`` do: the
        attacker needs both to work in evaluation mode (docs/lab.md).
        """
        if self._bounded is None or self._plain is not network:
            shared = {id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())}
            self._plain, self._bounded = network, copy.deepcopy(network, shared)
            for name, norm in clip_norms(self._bounded):
                norm.ceiling.copy_(self.ceilings[name])
        return self._bounded
