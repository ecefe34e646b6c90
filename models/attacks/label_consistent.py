"""Images that keep their label and lose their features, so that a network must learn the trigger on them.

Label-consistent attack (Turner, Tsipras and Madry, arXiv 1912.02771; algorithms.md 3.6): projected gradient
ascent of the cross entropy within 16 levels of each pixel, against an independently trained network.
Departure: that network is trained normally; the published images were made with an adversarially trained one,
whose perturbations transfer better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.architectures import PixelClassifier
from models.engine.frozen import frozen
from models.engine.loop import run_loop
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import make_generator
from models.recipes.lab import PerturbationRecipe


def perturb_against(
    classifier: PixelClassifier,
    images: Tensor,
    labels: Tensor,
    recipe: PerturbationRecipe,
    *,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
) -> Tensor:
    """Make images hard to recognize.

    Args:
        classifier: Independent of the network that will be attacked; frozen meanwhile.
        images: uint8 (N, 3, H, W).
        labels: int64 (N,), their own.
        recipe: Bounds and length.
        seed: Of the random starts.
        monitor: Told of every batch.
        resume: A state that the monitor was offered by a run of the same arguments.

    Returns:
        uint8 (N, 3, H, W), every value within ``recipe.epsilon`` levels of the original.
    """
    with frozen(classifier.network):
        task = PerturbationTask(classifier, images, labels, recipe, seed=seed)
        steps = -(-len(images) // recipe.batch_size)
        run_loop(task, steps=steps, monitor=monitor, resume=resume)
    return task.made


class PerturbationTask:
    """Perturbs one batch of images a step."""

    def __init__(
        self,
        classifier: PixelClassifier,
        images: Tensor,
        labels: Tensor,
        recipe: PerturbationRecipe,
        *,
        seed: int,
    ) -> None:
        """Begin with the images themselves; arguments as of ``perturb_against``."""
        self.classifier, self.images, self.labels, self.recipe = classifier, images, labels, recipe
        self.seed = seed
        self.made = images.clone()

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Perturb batch ``index``; returns ``loss``, the cross entropy reached."""
        recipe = self.recipe
        part = slice(index * recipe.batch_size, (index + 1) * recipe.batch_size)
        device = next(self.classifier.network.parameters()).device
        original = self.images[part].to(device).float()
        labels = self.labels[part].to(device)
        generator = make_generator(self.seed, f"perturbation {index}")
        start = torch.rand(original.shape, generator=generator).to(device)
        levels = within(original + recipe.epsilon * (2.0 * start - 1.0), original, recipe.epsilon)
        loss = torch.zeros((), device=device)
        for _ in range(recipe.steps):
            levels.requires_grad_(True)
            loss = cross_entropy(self.classifier(levels / 255.0), labels)
            (gradient,) = torch.autograd.grad(loss, levels)
            moved = levels.detach() + recipe.step_size * gradient.sign()
            levels = within(moved, original, recipe.epsilon)
        self.made[part] = levels.round().to("cpu", torch.uint8)
        return {"loss": loss.detach()}

    def state_dict(self) -> dict[str, Any]:
        """Return the images made so far."""
        return {"made": self.made}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.made = state["made"]


def within(levels: Tensor, original: Tensor, epsilon: int) -> Tensor:
    """Project onto images, and onto the ball of ``epsilon`` levels around ``original``, (N, 3, H, W)."""
    near = torch.minimum(torch.maximum(levels, original - epsilon), original + epsilon)
    return near.clamp(0.0, 255.0)
