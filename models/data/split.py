"""Divide labelled images into those a method may train on and those that judge the student."""

from __future__ import annotations

import torch
from torch import Tensor


def split_for_measuring(labels: Tensor, *, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Split class by class, so that both parts keep the proportions.

    Args:
        labels: int64 (N,).
        share: Share of each class kept for measuring, rounded up to one image where a class has two or more.
        seed: Of the permutation.

    Returns:
        Two sorted int64 index tensors: for training, for measuring.
    """
    generator = torch.Generator().manual_seed(seed)
    measuring = []
    for label in sorted(set(labels.tolist())):
        members = torch.nonzero(labels == label).flatten()
        kept = min(len(members) - 1, max(1, round(share * len(members))))
        order = torch.randperm(len(members), generator=generator)
        measuring.append(members[order[:kept]])
    chosen = torch.cat(measuring).sort().values
    is_chosen = torch.zeros(len(labels), dtype=torch.bool)
    is_chosen[chosen] = True
    return torch.nonzero(~is_chosen).flatten(), chosen
