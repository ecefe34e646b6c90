"""Universal perturbations: one shift of all images that changes what a network says.

ABD looks for the one shift whose KL to the unperturbed answer is largest. That is the backdoor only if no
other class is easier to reach. On digits with target 7 the ascent went to classes 4, 5 and 9, and after 300
steps of unlearning the backdoor still worked in .93 of cases. ``per_class`` therefore climbs towards every
class with a shift of its own, and one of them is the target's: .01 with the same teacher, at a norm a
quarter larger (rms .72 against .58), so not all of the difference is the ascent's.

The start is N(0, sigma²), not 0: there KL and its gradient vanish identically (algorithms.md 1.4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.distillation.losses import batch_divergence
from models.engine.precision import autocast, bfloat16_pays
from models.recipes.abd import RetrospectionRecipe

_BETA1, _BETA2 = 0.9, 0.999


def projection_norm(recipe: RetrospectionRecipe, elements: int) -> float | None:
    """Return the largest L2 norm of a shift of ``elements`` numbers, or None if it is not bounded."""
    return None if recipe.projection_rms is None else recipe.projection_rms * math.sqrt(elements)


class Perturbations:
    """Shifts (M, 3, H, W) in normalized units: one per class, or a single one that leads anywhere."""

    def __init__(self, recipe: RetrospectionRecipe, classes: int, shape: torch.Size, device: torch.device):
        """Make room for the shifts; ``shape`` is (3, H, W)."""
        self.recipe = recipe
        self.count = classes if recipe.synthesis == "per_class" else 1
        self.limit = projection_norm(recipe, shape.numel())
        self.delta = torch.zeros(self.count, *shape, device=device)
        self.first = torch.zeros_like(self.delta)
        self.second = torch.zeros_like(self.delta)
        self.age = torch.zeros(self.count, 1, 1, 1, device=device)

    def restart(self, index: int | slice, generator: torch.Generator) -> None:
        """Draw some shifts anew and forget their moments."""
        noise = torch.randn(self.delta[index].shape, generator=generator).to(self.delta.device)
        self.delta[index] = noise * self.recipe.initial_deviation
        self.first[index] = 0.0
        self.second[index] = 0.0
        self.age[index] = 0.0

    def in_play(self, images: int, turn: int) -> Tensor:
        """Return which shifts a batch of ``images`` improves in turn ``turn``: at least 4 images for each."""
        count = min(self.count, max(1, images // 4))
        return (torch.arange(count, device=self.delta.device) + turn * count) % self.count

    def climb(self, answer: nn.Module, x: Tensor, rounds: int, turn: int = 0) -> Tensor:
        """Improve the shifts that are in play by Adam steps on the images, shared out evenly among them.

        Args:
            answer: Whose predictions are to change; in eval mode, parameters without gradients.
            x: Normalized images (N, 3, H, W).
            rounds: Adam steps.
            turn: Rotates through the shifts when there are more of them than the images can serve.

        Returns:
            Share of the images that changed to the class their shift aims at, or to any other.
        """
        fast = bfloat16_pays(x.device)
        playing = self.in_play(len(x), turn)
        place = torch.arange(len(x), device=x.device) % len(playing)
        goal = playing[place] if self.count > 1 else None
        with torch.no_grad(), autocast(x.device, fast):
            before = answer(x).float()
        logits = before
        for _ in range(rounds):
            delta = self.delta[playing].requires_grad_(True)
            with autocast(x.device, fast):
                logits = answer(x + delta.index_select(0, place)).float()
            loss = _objective(before, logits, goal)
            loss = loss + self.recipe.norm_penalty * delta.square().sum()
            (gradient,) = torch.autograd.grad(loss, delta)
            self._descend(playing, gradient)
        changed = logits.argmax(1) == goal if goal is not None else logits.argmax(1) != before.argmax(1)
        share: Tensor = changed.float().mean()
        return share

    def _descend(self, playing: Tensor, gradient: Tensor) -> None:
        # Each shift's gradient has its own length, and only Adam's small constant would notice.
        gradient = gradient / _lengths(gradient)
        self.age[playing] += 1
        age = self.age[playing]
        self.first[playing] = _BETA1 * self.first[playing] + (1 - _BETA1) * gradient
        self.second[playing] = _BETA2 * self.second[playing] + (1 - _BETA2) * gradient.square()
        scale = (self.second[playing] / (1 - _BETA2**age)).sqrt() + 1e-8
        step = self.first[playing] / (1 - _BETA1**age) / scale
        delta = self.delta[playing] - self.recipe.perturbation_learning_rate * step
        if self.limit is not None:
            delta = delta * (self.limit / _lengths(delta)).clamp(max=1.0)
        self.delta[playing] = delta

    def state_dict(self) -> dict[str, Any]:
        """Return shifts and moments."""
        return {"delta": self.delta, "first": self.first, "second": self.second, "age": self.age}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        for name in ("delta", "first", "second", "age"):
            setattr(self, name, state[name].to(self.delta.device))


def _objective(before: Tensor, logits: Tensor, goal: Tensor | None) -> Tensor:
    if goal is None:
        return -batch_divergence(before, logits)
    # The margin over all other classes does not saturate, as a cross-entropy would.
    target = logits.gather(1, goal[:, None]).squeeze(1)
    others = logits.scatter(1, goal[:, None], -torch.inf).logsumexp(dim=1)
    margin: Tensor = target - others
    return -margin.mean()


def _lengths(shifts: Tensor) -> Tensor:
    lengths: Tensor = shifts.flatten(1).norm(dim=1)
    return lengths.clamp(min=1e-12).view(-1, 1, 1, 1)
