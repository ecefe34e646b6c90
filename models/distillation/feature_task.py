"""One step of overhaul feature distillation.

Heo et al., ICCV 2019, with two departures. The teacher stays in eval mode; the original lets its running
statistics drift. The BatchNorm in front of the activation is applied as a function with running statistics;
the original applies the module a second time and so updates the student's statistics twice per step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.architectures import PixelClassifier, StagedClassifier, StageEdit
from models.distillation.feature_distance import Connectors, channel_margins, feature_distance
from models.distillation.labelled_batches import LabelledBatches
from models.engine.precision import autocast, bfloat16_pays
from models.engine.seed import make_generator
from models.errors import RecipeError
from models.recipes.feature import FeatureRecipe


class FeatureTask:
    """One student and its connectors learning from one frozen teacher, edited or not."""

    def __init__(
        self,
        teacher: PixelClassifier,
        student: StagedClassifier,
        batches: LabelledBatches,
        recipe: FeatureRecipe,
        *,
        steps: int,
        seed: int,
        edit: StageEdit | None = None,
    ) -> None:
        """Compute the margins, draw the connectors and make the first optimizer.

        Args:
            teacher: Frozen and in eval mode.
            student: Trained in place.
            batches: Labelled images.
            recipe: Weights and learning rate.
            steps: Length of the run; the rate falls at half and at three quarters of it.
            seed: Of the connectors.
            edit: Changes the teacher's stage outputs, as RobustKD does.
        """
        self.teacher = teacher.network
        self.student = student
        self.batches = batches
        self.recipe = recipe
        self.edit = edit
        stages = range(len(self.teacher.stage_channels))
        self.margins = [_margins(self.teacher, index) for index in stages]
        generator = make_generator(seed, "connectors")
        device = next(student.parameters()).device
        channels = student.feature_channels, self.teacher.feature_channels
        self.connectors = Connectors(*channels, generator).to(device)
        # In this order, so that in a run of one to three steps the higher rate holds where two coincide.
        self.decays = {3 * steps // 4: 0.01, steps // 2: 0.1, 0: 1.0}
        self.optimizer = self._optimizer(recipe.learning_rate)

    def _optimizer(self, learning_rate: float) -> torch.optim.SGD:
        return torch.optim.SGD(
            [*self.student.parameters(), *self.connectors.parameters()],
            lr=learning_rate,
            momentum=self.recipe.momentum,
            nesterov=self.recipe.momentum > 0,
            weight_decay=self.recipe.weight_decay,
        )

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take one step; returns ``loss`` and its two parts."""
        if index in self.decays:
            # A new optimizer, not a new rate: the original forgets its momentum at each decay.
            self.optimizer = self._optimizer(self.recipe.learning_rate * self.decays[index])
        x, labels = self.batches(index)
        self.student.train()
        with autocast(x.device, bfloat16_pays(x.device)):
            targets = self._targets(x)
            outputs = self.student.forward_stages(x)
            features = self.connectors(
                [self.student.prerelu(layer, stage) for layer, stage in enumerate(outputs.stages)]
            )
        label_loss = cross_entropy(outputs.logits.float(), labels)
        feature_loss = self.recipe.feature_weight * feature_distance(features, targets, self.margins)
        loss = label_loss + feature_loss
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {
            "loss": loss.detach(),
            "label_loss": label_loss.detach(),
            "feature_loss": feature_loss.detach(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: both networks and the optimizer."""
        return {
            "student": self.student.state_dict(),
            "connectors": self.connectors.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.student.load_state_dict(state["student"])
        self.connectors.load_state_dict(state["connectors"])
        self.optimizer.load_state_dict(state["optimizer"])

    @torch.no_grad()
    def _targets(self, x: Tensor) -> list[Tensor]:
        stages = self.teacher.forward_stages(x, self.edit).stages
        return [self.teacher.prerelu(layer, stage) for layer, stage in enumerate(stages)]


def _margins(teacher: StagedClassifier, index: int) -> Tensor | None:
    """Return the margins of a stage: none without a ReLU behind it, zero behind one of its own."""
    if not teacher.is_rectified(index):
        return None
    norm = teacher.margin_norm(index)
    if norm is None:
        return torch.zeros(teacher.feature_channels[index], device=next(teacher.parameters()).device)
    return channel_margins(norm)


@torch.no_grad()
def check_stages(teacher: StagedClassifier, student: StagedClassifier, size: int) -> None:
    """Make sure that features of both networks can be compared layer by layer.

    Raises:
        RecipeError: ``stages_incompatible`` if number or sides of the stages differ, or the teacher has
            no margins there.
    """
    for index in range(len(teacher.stage_channels)):
        teacher.margin_norm(index)
    sides = []
    for network in (teacher, student):
        training = network.training
        network.eval()
        device = next(network.parameters()).device
        stages = network.forward_stages(torch.zeros(1, 3, size, size, device=device)).stages
        sides.append([tuple(stage.shape[2:]) for stage in stages])
        network.train(training)
    if sides[0] != sides[1]:
        raise RecipeError(
            f"Stage sizes of the teacher are {sides[0]}, of the student {sides[1]}.",
            code="stages_incompatible",
            hint="Choose a student of the teacher's family, or method vanilla or ood.",
        )
