"""Search the smallest additive perturbation that sends any image to a class, for many classes in one batch.

A patch search misses triggers that cover the whole image faintly (blends, stripes, watermarks); a backdoored
class gives in to an additive perturbation of a smaller Euclidean norm than the others. The search moves a
radius: it shrinks while the perturbation works and grows, more slowly, while it does not. With the radius
held fixed, the same search makes the control of the transfer probe.

Source: targeted universal perturbations (Moosavi-Dezfooli et al., CVPR 2017); against backdoors, I-BAU (Zeng
et al., ICLR 2022). The moving radius is ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.probes.candidates import Candidates, SearchPlan, search_by_parts

#: The first radius, as a share of the diagonal sqrt(d): 3.0 at 3x32x32, where benign networks need 1 to 2.
FIRST_RADIUS = 0.054

#: Factors of the radius after a step that worked and after one that did not.
SHRINK, GROW = 0.93, 1.02

#: Length of a step as a share of the radius, and how much of the last direction is kept.
STEP, MOMENTUM = 0.1, 0.7


def search_perturbations(
    classifier: nn.Module,
    images: Tensor,
    target_labels: Tensor,
    plan: SearchPlan,
    *,
    radius: float | None = None,
    support: Tensor | None = None,
) -> Candidates:
    """Search one perturbation per entry of ``target_labels``; sizes are Euclidean norms.

    A class that nothing won has the last radius: its own is at least that, as far as the search can tell.
    Other arguments, and errors, as of ``models.probes.candidates.Search``.

    Args:
        radius: Hold the norm at this value; then the patterns are those of the best running average.
        support: (1 or 3, H, W) of 0 and 1: change these pixels only.
    """
    count, generator, device = len(target_labels), plan.generator, plan.generator.device
    noise = torch.randn(count, *images.shape[1:], generator=generator, device=device)
    return search_by_parts(
        lambda part: _PerturbationSearch(
            noise[part], target_labels[part], plan, radius=radius, support=support
        ),
        classifier,
        images,
        count,
        plan,
    )


class _PerturbationSearch:
    """The current perturbations, their radii and the best ones so far."""

    def __init__(
        self,
        noise: Tensor,
        target_labels: Tensor,
        plan: SearchPlan,
        *,
        radius: float | None,
        support: Tensor | None,
    ) -> None:
        device, count = plan.generator.device, len(target_labels)
        diagonal = math.sqrt(math.prod(noise.shape[1:]))
        self.radius = torch.full(
            (count,), FIRST_RADIUS * diagonal if radius is None else radius, device=device
        )
        self.moving = radius is None
        self.goal = plan.goal
        self.labels = target_labels.to(device).repeat_interleave(plan.batch_size)
        self.support = 1.0 if support is None else support.to(device)
        self.delta = self._confine(self.support * 0.01 * noise)
        self.direction = torch.zeros_like(self.delta)
        self.success = torch.zeros(count, device=device)
        self.best = self.delta.clone()
        self.best_success = torch.zeros(count, device=device)
        self.norms = torch.full((count,), diagonal, device=device)
        self.reached = torch.zeros(count, dtype=torch.bool, device=device)

    def smallest(self) -> float:
        """Return the smallest size of a candidate that worked."""
        return float(self.norms.min())

    def found(self) -> Candidates:
        """Return the smallest perturbations; the last radius is the size where none worked."""
        sizes = torch.where(self.reached, self.norms, self.radius)
        return Candidates(self.best, torch.ones_like(self.best[:, :1]), sizes, self.reached)

    def step(self, classifier: nn.Module, batch: Tensor) -> None:
        """Add every candidate to ``batch``, pixels (B, 3, H, W), and descend."""
        delta = self.delta.requires_grad_()
        logits = classifier((batch[None] + delta[:, None]).clamp(0, 1).flatten(0, 1))
        loss = cross_entropy(logits, self.labels, reduction="sum") / len(batch)
        (gradient,) = torch.autograd.grad(loss, delta)
        self.delta = delta.detach()
        hits = (logits.argmax(1) == self.labels).float().view(len(delta), -1).mean(1)
        self.success = 0.5 * self.success + 0.5 * hits
        self._remember()
        if self.moving:
            works = self.success >= self.goal
            self.radius = torch.where(works, self.radius * SHRINK, self.radius * GROW)
        self.direction = MOMENTUM * self.direction + _unit(gradient * self.support)
        moved = self.delta - STEP * self.radius.view(-1, 1, 1, 1) * _unit(self.direction)
        self.delta = self._confine(moved)

    def _confine(self, delta: Tensor) -> Tensor:
        """Pull into the ball of the moving radius; put on the sphere of a held one."""
        factor = self.radius / _norm(delta)
        return delta * (factor.clamp_max(1) if self.moving else factor).view(-1, 1, 1, 1)

    def _remember(self) -> None:
        norms = _norm(self.delta)
        works = self.success >= self.goal
        better = works & (norms < self.norms) if self.moving else self.success >= self.best_success
        self.best[better] = self.delta[better]
        self.best_success = torch.where(better, self.success, self.best_success)
        self.norms = torch.where(better & works, norms, self.norms)
        self.reached = self.reached | works


def _norm(delta: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(delta.flatten(1), dim=1)
    return norms.clamp_min(1e-12)


def _unit(delta: Tensor) -> Tensor:
    return delta / _norm(delta).view(-1, 1, 1, 1)
