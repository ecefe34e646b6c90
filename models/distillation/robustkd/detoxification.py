"""Training the edit: keep the teacher's answers on clean images, lower the variance of its last features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.architectures import PixelClassifier
from models.distillation.labelled_batches import LabelledBatches
from models.distillation.robustkd.feature_mask import FeatureMask
from models.distillation.robustkd.feature_variance import variance_loss
from models.engine.precision import autocast, bfloat16_pays
from models.metrics.prediction import BATCH_SIZE, to_pixels
from models.recipes.robustkd import RobustKDRecipe


@torch.no_grad()
def mean_stage_outputs(teacher: PixelClassifier, images: Tensor) -> list[Tensor]:
    """Return the mean raw output of each stage over some clean images.

    Args:
        teacher: In eval mode.
        images: uint8 (N, 3, H, W).

    Returns:
        One (C, H, W) per stage.
    """
    parts = []
    for part in torch.split(images, BATCH_SIZE):
        stages = teacher.network.forward_stages(teacher.normalize(to_pixels(part, teacher))).stages
        parts.append([stage.mean(dim=0) * (len(part) / len(images)) for stage in stages])
    return [torch.stack(of_stage).sum(dim=0) for of_stage in zip(*parts, strict=True)]


class DetoxificationTask:
    """Step I of RobustKD: Adam on masks and replacements, everything of the teacher fixed.

    The loss is the unweighted sum CE(head(F'_last), y) + Var(F'_last) of Eq. 8 to 10, as far as the prose
    gives them. Every edited stage feeds the next one, so one loss at the end trains the edits of all stages.
    """

    def __init__(
        self,
        teacher: PixelClassifier,
        mask: FeatureMask,
        batches: LabelledBatches,
        recipe: RobustKDRecipe,
    ) -> None:
        """Prepare the optimizer.

        Args:
            teacher: Frozen and in eval mode: in train mode BatchNorm would follow the edits.
            mask: Trained in place.
            batches: Labelled clean images under the augmentation that the distillation will use.
            recipe: Names the variance's axis and the learning rate.
        """
        self.teacher = teacher
        self.mask = mask
        self.batches = batches
        self.axis = recipe.variance_axis
        self.optimizer = torch.optim.Adam(mask.parameters(), lr=recipe.mask_learning_rate)

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take one step; returns ``loss`` and its two parts."""
        x, labels = self.batches(index)
        with autocast(x.device, bfloat16_pays(x.device)):
            outputs = self.teacher.network.forward_stages(x, self.mask)
        label_loss = cross_entropy(outputs.logits.float(), labels)
        variance = variance_loss(outputs.stages[-1], self.axis)
        loss = label_loss + variance
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.mask.clamp_()
        return {"loss": loss.detach(), "label_loss": label_loss.detach(), "variance": variance.detach()}

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: masks, replacements and the optimizer."""
        return {"mask": self.mask.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.mask.load_state_dict(state["mask"])
        self.optimizer.load_state_dict(state["optimizer"])
