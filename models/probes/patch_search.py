"""Search the smallest patch that sends any image to a class, for many classes in one batch.

Wang et al., "Neural Cleanse", IEEE S&P 2019: minimize ``CE(f((1 - m) x + m p), c) + weight * |m|_1`` over a
mask m shared by the channels and a pattern p, both through tanh, with Adam (0.1, betas 0.5 and 0.9).

We depart in the schedule. The weight starts at 10 over the pixels (1e-2 at 32x32) instead of 0 and doubles
after 3 good steps instead of 5 passes over 31 batches, because 60 steps must do here what 1,000 passes do
there: starting at 1e-3, one of three seeds did not yet single out a 4x4 patch. All candidates see the same
images in the same order, so that their areas can be compared.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.probes.candidates import Candidates, SearchPlan, search_by_parts

#: Weight of the whole image at the start; its factor after RUN good steps, its divisor after RUN bad ones.
FIRST_WEIGHT, RAISE, LOWER, RUN = 10.0, 2.0, 2.0**1.5, 3


def search_patches(
    classifier: nn.Module, images: Tensor, target_labels: Tensor, plan: SearchPlan
) -> Candidates:
    """Search one patch per entry of ``target_labels``; sizes are areas in pixels.

    A class that nothing won has the whole image, over which the mask was free to grow. Arguments and errors
    as of ``models.probes.candidates.Search``.
    """
    count, generator, device = len(target_labels), plan.generator, plan.generator.device
    height, width = images.shape[-2:]
    raw_masks = 0.1 * torch.randn(count, 1, height, width, generator=generator, device=device)
    raw_patterns = 0.5 * torch.randn(count, 3, height, width, generator=generator, device=device)
    return search_by_parts(
        lambda part: _PatchSearch(raw_masks[part], raw_patterns[part], target_labels[part], plan),
        classifier,
        images,
        count,
        plan,
    )


class _PatchSearch:
    """The optimizer's state and the best patch so far."""

    def __init__(
        self, raw_mask: Tensor, raw_pattern: Tensor, target_labels: Tensor, plan: SearchPlan
    ) -> None:
        device, count = plan.generator.device, len(target_labels)
        height, width = raw_mask.shape[-2:]
        self.raw_mask, self.raw_pattern = raw_mask, raw_pattern
        self.optimizer = torch.optim.Adam(
            [self.raw_mask.requires_grad_(), self.raw_pattern.requires_grad_()], lr=0.1, betas=(0.5, 0.9)
        )
        self.labels = target_labels.to(device).repeat_interleave(plan.batch_size)
        self.goal = plan.goal
        self.weight = torch.full((count,), FIRST_WEIGHT / (height * width), device=device)
        self.success = torch.zeros(count, device=device)
        self.good_steps = torch.zeros(count, device=device)
        self.bad_steps = torch.zeros(count, device=device)
        self.areas = torch.full((count,), float(height * width), device=device)
        self.reached = torch.zeros(count, dtype=torch.bool, device=device)
        self.masks = torch.ones(count, 1, height, width, device=device)
        self.patterns = torch.zeros(count, 3, height, width, device=device)

    def smallest(self) -> float:
        """Return the smallest size of a candidate that worked."""
        return float(self.areas.min())

    def found(self) -> Candidates:
        """Return the smallest patches; the whole image where none worked."""
        return Candidates(self.patterns, self.masks, self.areas, self.reached)

    def step(self, classifier: nn.Module, batch: Tensor) -> None:
        """Stamp ``batch``, pixels (B, 3, H, W), with every candidate and descend."""
        mask, pattern = (self.raw_mask.tanh() + 1) / 2, (self.raw_pattern.tanh() + 1) / 2
        stamped = (1 - mask)[:, None] * batch[None] + (mask * pattern)[:, None]
        logits = classifier(stamped.flatten(0, 1))
        per_candidate = cross_entropy(logits, self.labels, reduction="none").view(len(mask), -1).mean(1)
        area = mask.flatten(1).sum(1)
        loss = (per_candidate + self.weight * area).sum()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        hits = (logits.argmax(1) == self.labels).float().view(len(mask), -1).mean(1)
        # Half of the last batch, half of those before: a lucky batch of 8 images is no success.
        self.success = 0.5 * self.success + 0.5 * hits
        self._remember(mask.detach(), pattern.detach(), area.detach())
        self._adapt_weight()
        self.optimizer.step()

    def _remember(self, mask: Tensor, pattern: Tensor, area: Tensor) -> None:
        better = (self.success >= self.goal) & (area < self.areas)
        self.areas = torch.where(better, area, self.areas)
        self.reached = self.reached | better
        self.masks[better], self.patterns[better] = mask[better], pattern[better]

    def _adapt_weight(self) -> None:
        good = self.success >= self.goal
        self.good_steps = torch.where(good, self.good_steps + 1, 0)
        self.bad_steps = torch.where(good, 0, self.bad_steps + 1)
        raised, lowered = self.good_steps == RUN, self.bad_steps == RUN
        self.weight = torch.where(raised, self.weight * RAISE, self.weight)
        self.weight = torch.where(lowered, self.weight / LOWER, self.weight)
        self.good_steps = torch.where(raised, 0, self.good_steps)
        self.bad_steps = torch.where(lowered, 0, self.bad_steps)
