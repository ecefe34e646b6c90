"""Training a nasty teacher: as accurate as the original, useless to learn from.

Ma et al., "Undistillable: Making a nasty teacher that cannot teach students", ICLR 2021 (arXiv 2105.07381),
section 3.2. The original A is frozen; a network T of the same architecture minimizes

    CE(T(x), y) - omega t² KL( softmax(T(x) / t) || softmax(A(x) / t) )

with the divergence summed over classes and averaged over the batch (``batchmean``). T is the *reference*:
the expectation runs over its own distribution and the gradient flows into it, entropy and all; A has none.
The published code adds 100 to the loss so that what it prints is positive; that changes nothing and is left
out.

Is the loss unbounded below (algorithms.md 8, item 20)? The divergence is not: A is fixed and T is a
distribution, so it is at most the largest -log softmax(A / t), some (spread of A's logits) / t + log K. What
can run away is the cross-entropy: where omega t² outweighs it, T prefers the class that A finds least likely.
So the running mean of the cross-entropy is watched, and a run whose mean is worse than twice that of a
guess among K classes is ended, not published.

Departures: the last step is taken, where the paper takes the epoch with the best *test* accuracy; T may start
from A's weights (``start = "original"``). There the divergence and its gradient are 0, and it is train-mode
BatchNorm and the cross-entropy that lead away from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.architectures import StagedClassifier
from models.checkpoints.load import Teacher
from models.distillation.labelled_batches import LabelledBatches
from models.distillation.losses import batch_divergence
from models.engine.loop import GPU_READS_EVERY
from models.engine.precision import autocast, bfloat16_pays, to_channels_last
from models.engine.schedule import milestone_rate, scheduled_rate
from models.errors import TrainingFailed
from models.recipes.protect import HarmRecipe, ProtectRecipe

#: The running mean's memory in steps, and how many steps it gets before it is trusted; at the last step, of
#: however short a run, it is looked at in any case.
_MEMORY, _FIRST_CHECK = 50, 100
#: Cross-entropy that counts as diverged, in units of that of a guess, log K.
DIVERGED = 2.0


def nasty_loss(
    logits: Tensor, original: Tensor, labels: Tensor, *, omega: float, temperature: float
) -> dict[str, Tensor]:
    """Compute the self-undermining loss and its parts.

    Args:
        logits: T's, (N, K), with gradient.
        original: A's, (N, K), without.
        labels: int64 (N,).
        omega: Weight of the divergence.
        temperature: t of both softmaxes.

    Returns:
        ``loss``, ``label_loss`` (the cross-entropy) and ``divergence`` (with t², without omega); scalars in
        float32.
    """
    label_loss = cross_entropy(logits.float(), labels)
    divergence = temperature**2 * batch_divergence(logits, original, temperature)
    return {"loss": label_loss - omega * divergence, "label_loss": label_loss, "divergence": divergence}


def recipe_rate(recipe: ProtectRecipe | HarmRecipe, step: int, steps: int) -> float:
    """Return the learning rate of a step, counted from 0."""
    if recipe.schedule == "milestones":
        return milestone_rate(recipe.learning_rate, step, steps, recipe.milestones, recipe.decay)
    return scheduled_rate(recipe.schedule, recipe.learning_rate, step, steps)


class SelfUnderminingTask:
    """A network that learns the labels and to differ from the original, one batch per step."""

    def __init__(
        self,
        original: Teacher,
        nasty: StagedClassifier,
        batches: LabelledBatches,
        recipe: ProtectRecipe,
        *,
        steps: int,
    ) -> None:
        """Plan the run.

        Args:
            original: A; frozen by the caller for as long as the run lasts.
            nasty: T; trained in place, on the original's device.
            batches: Labelled images.
            recipe: Weights and learning rate.
            steps: Length of the run.
        """
        self.original, self.nasty = original.network, nasty
        self.batches, self.recipe, self.steps = batches, recipe, steps
        self.optimizer = torch.optim.SGD(
            nasty.parameters(), lr=recipe.learning_rate, momentum=0.9, weight_decay=recipe.weight_decay
        )
        self.limit = DIVERGED * math.log(original.spec.num_classes)
        # Where the losses are: reading it there at every step would wait for the GPU at every step.
        self.mean_label_loss = torch.zeros((), device=original.device)
        self.reads_every = 1 if original.device.type == "cpu" else GPU_READS_EVERY
        self.fast = bfloat16_pays(original.device)
        to_channels_last(nasty)
        to_channels_last(self.original)

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Learn from one batch; returns ``loss``, its parts and the accuracy on the batch.

        Raises:
            TrainingFailed: ``nasty_diverged`` if the running mean of the cross-entropy is above its limit; on
                a GPU it is read as seldom as the loop reads the loss, and at the last step.
        """
        x, labels = self.batches(index)
        self.nasty.train()
        with torch.no_grad(), autocast(x.device, self.fast):
            original = self.original(x)
        with autocast(x.device, self.fast):
            logits = self.nasty(x)
        recipe = self.recipe
        parts = nasty_loss(logits, original, labels, omega=recipe.omega, temperature=recipe.temperature)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe_rate(recipe, index, self.steps)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self._watch(index, parts["label_loss"].detach())
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        return {**{name: part.detach() for name, part in parts.items()}, "batch_accuracy": accuracy}

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {
            "nasty": self.nasty.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "mean_label_loss": self.mean_label_loss.item(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.nasty.load_state_dict(state["nasty"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.mean_label_loss.fill_(state["mean_label_loss"])

    def _watch(self, index: int, label_loss: Tensor) -> None:
        done = index + 1
        self.mean_label_loss.lerp_(label_loss, 1.0 / min(done, _MEMORY))
        if done != self.steps and (done < _FIRST_CHECK or done % self.reads_every):
            return
        mean = self.mean_label_loss.item()
        if mean > self.limit:
            raise TrainingFailed(
                f"The cross-entropy is {mean:.2f} at step {done}: the network forgets its task (limit "
                f"{self.limit:.2f}).",
                code="nasty_diverged",
                hint="Lower protect.omega, or protect.learning_rate.",
            )
