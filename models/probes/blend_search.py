"""Search the faintest picture that sends any image to a class when blended over it, for many classes at once.

A blended trigger (Chen et al., arXiv 1712.05526) is ``(1 - a) x + a p`` with one opacity ``a`` for the whole
image. A patch search finds it badly, because its mask is made small in area; an additive perturbation finds
something else of the same effect. Here the mask is the opacity alone: it shrinks while the picture works and
grows, more slowly, while it does not. The moving opacity is ours, as the moving radius of
``universal_perturbation``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.probes.candidates import Candidates, SearchPlan, search_by_parts

#: Above this the picture hides the image, and every class has one that works.
MOST_OPACITY = 0.5
FIRST_OPACITY = 0.3
#: Factors of the opacity after a step that worked and after one that did not.
SHRINK, GROW = 0.95, 1.015


def search_blends(
    classifier: nn.Module, images: Tensor, target_labels: Tensor, plan: SearchPlan
) -> Candidates:
    """Search one picture per entry of ``target_labels``; sizes are opacities, 1 where nothing worked.

    Arguments and errors as of ``models.probes.candidates.Search``.
    """
    count, generator, device = len(target_labels), plan.generator, plan.generator.device
    raw_patterns = 0.5 * torch.randn(count, *images.shape[1:], generator=generator, device=device)
    return search_by_parts(
        lambda part: _BlendSearch(raw_patterns[part], target_labels[part], plan),
        classifier,
        images,
        count,
        plan,
    )


class _BlendSearch:
    """The optimizer's state and the faintest picture so far."""

    def __init__(self, raw_pattern: Tensor, target_labels: Tensor, plan: SearchPlan) -> None:
        device, count = plan.generator.device, len(target_labels)
        self.raw_pattern = raw_pattern
        self.optimizer = torch.optim.Adam([self.raw_pattern.requires_grad_()], lr=0.1, betas=(0.5, 0.9))
        self.labels = target_labels.to(device).repeat_interleave(plan.batch_size)
        self.goal = plan.goal
        self.opacity = torch.full((count,), FIRST_OPACITY, device=device)
        self.success = torch.zeros(count, device=device)
        self.opacities = torch.ones(count, device=device)
        self.patterns = torch.zeros_like(raw_pattern)
        self.reached = torch.zeros(count, dtype=torch.bool, device=device)

    def smallest(self) -> float:
        """Return the smallest size of a candidate that worked."""
        return float(self.opacities.min())

    def found(self) -> Candidates:
        """Return the faintest pictures, each behind a mask of one opacity."""
        masks = self.opacities.view(-1, 1, 1, 1).expand(-1, 1, *self.patterns.shape[-2:]).clone()
        return Candidates(self.patterns, masks, self.opacities, self.reached)

    def step(self, classifier: nn.Module, batch: Tensor) -> None:
        """Blend every picture over ``batch``, pixels (B, 3, H, W), and descend."""
        opacity = self.opacity.view(-1, 1, 1, 1)
        pattern = (self.raw_pattern.tanh() + 1) / 2
        blended = ((1 - opacity)[:, None] * batch[None]) + (opacity * pattern)[:, None]
        logits = classifier(blended.flatten(0, 1))
        loss = cross_entropy(logits, self.labels, reduction="sum") / len(batch)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        hits = (logits.argmax(1) == self.labels).float().view(len(pattern), -1).mean(1)
        self.success = 0.5 * self.success + 0.5 * hits
        works = self.success >= self.goal
        better = works & (self.opacity < self.opacities)
        self.opacities = torch.where(better, self.opacity, self.opacities)
        self.patterns[better] = pattern.detach()[better]
        self.reached = self.reached | works
        moved = torch.where(works, self.opacity * SHRINK, self.opacity * GROW)
        self.opacity = moved.clamp_max(MOST_OPACITY)
        self.optimizer.step()
