"""Logits of any size are searched alike."""

from __future__ import annotations

import torch
from torch import nn

from models.probes.logit_scale import at_ordinary_scale


class Linear(nn.Module):
    """Logits are the pixels' means by channel, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.factor * pixels.mean((2, 3))


PIXELS = torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def test_ordinary_logits_stay_as_they_are() -> None:
    """Scores of references were taken on them."""
    for margins in ((1.0, 2.0, 40.0), (-5.0, 0.0, 9.0), (8.0, 9.0, 1e6)):
        classifier = Linear(1.0)
        assert at_ordinary_scale(classifier, margins) is classifier


def test_huge_and_tiny_ones_answer_alike_and_are_ordinary() -> None:
    wanted = Linear(30.0)(PIXELS)
    for factor in (1e-30, 1e-3, 1e6, 1e30):
        found = at_ordinary_scale(Linear(factor), (0.0, factor, 2 * factor))(PIXELS)
        torch.testing.assert_close(found, wanted)
