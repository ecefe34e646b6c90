"""Universal perturbations: one shift of all images that changes what a network says.

ABD looks for the one shift whose KL to the unperturbed answer is largest. That is the backdoor only if no
other class is easier to reach. On digits with target 7 the ascent went to classes 4, 5 and 9, and after 300
steps of unlearning the backdoor still worked in .93 of cases. ``per_class`` therefore climbs towards every
class with a shift of its own, and one of them is the target's: .01 with the same teacher, at a norm a
quarter larger (rms .72 against .58), so not all of the difference is the ascent's.

A *dense* shift moves every pixel a little, a *sparse* one moves a few as far as they go: against a patch the
student has to meet a patch. A sparse shift keeps the pixels whose latent value, which every step moves as a
whole, is largest; without the latent values the first step would choose the pixels for good.

The start is N(0, sigma²), not 0: there KL and its gradient vanish identically (algorithms.md 1.4). Lengths
are in units of the images' standard deviation: networks that take plain pixels would else be moved four times
as far as those that take normalized ones.

A thousand classes would have two thousand shifts of 224 x 224 pixels and their moments in memory, 3.6 GB, and
in every state that is kept. So of as many only some are alive at a time, and one that starts anew takes the
next class. Each is climbed as long as it would be otherwise: it is in play oftener, and starts anew earlier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.distillation.losses import batch_divergence
from models.engine.precision import autocast, bfloat16_pays
from models.recipes.abd import RetrospectionRecipe, Shape

_BETA1, _BETA2 = 0.9, 0.999
_TENSORS = ("latent", "first", "second", "age", "leads_to")
#: Numbers in all shifts that are alive together, 64 MiB: 111 shifts of 224 x 224 pixels, 5,461 of 32 x 32.
_MOST_NUMBERS = 2**24
#: Pixels of all images that are climbed at once, 128 of 64 x 64: a backward pass keeps what every layer puts
#: out. Of larger images fewer are taken at a time, and their gradients summed.
_CLIMBING_PIXELS = 128 * 64 * 64


def passes(x: Tensor, pixels: int) -> list[slice]:
    """Divide images (N, 3, H, W) into parts of ``pixels`` positions at most, of one image at least."""
    count = max(1, pixels // x.shape[2:].numel())
    return [slice(start, start + count) for start in range(0, len(x), count)]


def projection_norm(recipe: RetrospectionRecipe, elements: int) -> float | None:
    """Return the largest L2 norm of a dense shift of ``elements`` numbers in units, None if unbounded."""
    return None if recipe.projection_rms is None else recipe.projection_rms * math.sqrt(elements)


_SPARSE: Mapping[Shape, tuple[bool, ...]] = {
    "dense": (False,),
    "sparse": (True,),
    "both": (False, True),
}


class Perturbations:
    """Shifts (M, 3, H, W): of each shape one per class, or a single one that leads anywhere.

    Of large images and many classes, fewer than one per class are alive at a time.
    """

    def __init__(
        self,
        recipe: RetrospectionRecipe,
        classes: int,
        shape: torch.Size,
        device: torch.device,
        *,
        unit: float = 1.0,
    ) -> None:
        """Make room for the shifts.

        Args:
            recipe: Kinds and sizes.
            classes: K.
            shape: (3, H, W).
            device: Where the images are.
            unit: Standard deviation of the images; the recipe's lengths are multiples of it.
        """
        self.recipe, self.unit = recipe, unit
        self.goals = classes if recipe.synthesis == "per_class" else 1
        shapes = _SPARSE[recipe.shape]
        self.shapes = len(shapes)
        self.alive = min(self.goals, max(1, _MOST_NUMBERS // (self.shapes * shape.numel())))
        self.count = self.alive * self.shapes
        self.sparse = torch.tensor(shapes, device=device).repeat_interleave(self.alive).view(-1, 1, 1, 1)
        #: (M,) classes; the first start makes them 0 to ``alive`` - 1 of each shape.
        ahead = torch.arange(self.alive, device=device) - self.alive
        self.leads_to = ahead.repeat(self.shapes) % self.goals
        self.kept_pixels = max(1, round(recipe.sparse_share * shape[1:].numel()))
        limit = projection_norm(recipe, shape.numel())
        self.limit = None if limit is None else limit * unit
        self.latent = torch.zeros(self.count, *shape, device=device)
        self.first = torch.zeros_like(self.latent)
        self.second = torch.zeros_like(self.latent)
        self.age = torch.zeros(self.count, 1, 1, 1, device=device)

    @property
    def delta(self) -> Tensor:
        """All shifts (M, 3, H, W)."""
        return self.shifts(slice(None))

    def shifts(self, which: Tensor | slice) -> Tensor:
        """Return some shifts (m, 3, H, W); a sparse one is zero but for a few pixels."""
        latent = self.latent[which]
        if self.recipe.shape == "dense":
            return latent
        energy = latent.square().sum(dim=1).flatten(1)
        chosen = energy.topk(self.kept_pixels, dim=1).indices
        kept = torch.zeros_like(energy).scatter_(1, chosen, 1.0).view(-1, 1, *latent.shape[2:])
        return torch.where(self.sparse[which], latent * kept, latent)

    def goal(self, index: int) -> int | None:
        """Return the class that shift ``index`` leads to, None if it leads anywhere."""
        return int(self.leads_to[index]) if self.goals > 1 else None

    def restart(self, index: int | slice, generator: torch.Generator) -> None:
        """Draw some shifts anew, forget their moments, and lead each to its next class.

        That is the same class where one shift of each shape is alive for every class.
        """
        self.leads_to[index] = (self.leads_to[index] + self.alive) % self.goals
        noise = torch.randn(self.latent[index].shape, generator=generator).to(self.latent.device)
        self.latent[index] = noise * self.recipe.initial_deviation * self.unit
        self.first[index] = 0.0
        self.second[index] = 0.0
        self.age[index] = 0.0

    def in_play(self, images: int, turn: int) -> Tensor:
        """Return which shifts a batch of ``images`` improves in turn ``turn``: at least 4 images for each."""
        count = min(self.count, max(1, images // 4))
        return (torch.arange(count, device=self.latent.device) + turn * count) % self.count

    def climb(self, answer: nn.Module, x: Tensor, rounds: int, turn: int = 0) -> Tensor:
        """Improve the shifts that are in play by Adam steps on the images, shared out evenly among them.

        Args:
            answer: Whose predictions are to change; in eval mode, parameters without gradients.
            x: Normalized images (N, 3, H, W).
            rounds: Adam steps.
            turn: Rotates through the shifts when there are more of them than the images can serve.

        Returns:
            Share of the images that now go to the class their shift aims at, also of those that did without
            it; where it aims at none, of those that changed.
        """
        fast = bfloat16_pays(x.device)
        playing = self.in_play(len(x), turn)
        place = torch.arange(len(x), device=x.device) % len(playing)
        goal = self.leads_to[playing[place]] if self.goals > 1 else None
        parts = passes(x, _CLIMBING_PIXELS)
        with torch.no_grad(), autocast(x.device, fast):
            before = torch.cat([answer(x[part]).float() for part in parts])
        logits = before
        for _ in range(rounds):
            delta = self.shifts(playing).requires_grad_(True)
            gradient, answers = torch.zeros_like(delta), []
            for part in parts:
                with autocast(x.device, fast):
                    answered = answer(x[part] + delta.index_select(0, place[part])).float()
                loss = _objective(before[part], answered, None if goal is None else goal[part])
                loss = loss + self.recipe.norm_penalty * delta.square().sum()
                gradient += torch.autograd.grad(loss * (len(answered) / len(x)), delta)[0]
                answers.append(answered.detach())
            logits = torch.cat(answers)
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
        latent = self.latent[playing] - self.recipe.perturbation_learning_rate * self.unit * step
        bound = self.recipe.sparse_bound * self.unit
        dense = latent if self.limit is None else latent * (self.limit / _lengths(latent)).clamp(max=1.0)
        self.latent[playing] = torch.where(self.sparse[playing], latent.clamp(-bound, bound), dense)

    def state_dict(self) -> dict[str, Any]:
        """Return shifts, moments and what the shifts were made for."""
        tensors = {name: getattr(self, name) for name in _TENSORS}
        return {**tensors, "goals": self.goals, "unit": self.unit}

    @classmethod
    def of_state(
        cls, recipe: RetrospectionRecipe, state: Mapping[str, Any], device: torch.device
    ) -> Perturbations:
        """Return the perturbations that ``state_dict`` was asked of."""
        shape = state["latent"].shape[1:]
        made = cls(recipe, state["goals"], shape, device, unit=state["unit"])
        for name in _TENSORS:
            setattr(made, name, state[name].to(device))
        return made


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
