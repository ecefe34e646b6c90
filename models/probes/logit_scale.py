"""Searches by cross-entropy need logits of an ordinary size; an attacker can give them any.

A last layer times 1e-12 changes no answer of a network, and no class of it is won any more: softmax is flat.
Times 1e20 the squares of the gradients are infinite. Behind either a planted backdoor that works on every
image was not detected. Maximum margins, which are searched by direction alone, tell the size.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from torch import Tensor, nn

#: Median over the classes of the largest margin. A planted network was searched alike from 1 to 1e7; at a
#: third of 1 its patch was lost. Trained networks reach about 10 to 300.
ORDINARY = (1.0, 1e4)
#: What an unordinary one is brought to.
_TYPICAL = 30.0


class Rescaled(nn.Module):
    """A network that answers alike, with logits of another size."""

    def __init__(self, classifier: nn.Module, factor: float) -> None:
        """Wrap ``classifier``, which is shared and not copied."""
        super().__init__()
        self.classifier, self.factor = classifier, factor

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels in [0, 1], (N, 3, H, W), to logits (N, K)."""
        logits: Tensor = self.classifier(pixels) * self.factor
        return logits


def at_ordinary_scale(classifier: nn.Module, margins: Sequence[float]) -> nn.Module:
    """Return the classifier itself, or where its logits are huge or tiny one with ordinary ones.

    Args:
        classifier: Takes pixels in [0, 1] and returns logits.
        margins: The largest that was reached per class. Their median counts: one class alone, which could be
            made to have any, moves nothing. Where for half of the classes no input was found, that of the
            others counts: a tiny last layer beside as many dead classes else left every search without a
            gradient.
    """
    middle = statistics.median(margins)
    if middle <= 0:
        middle = statistics.median([margin for margin in margins if margin > 0] or [0.0])
    if middle <= 0 or ORDINARY[0] <= middle <= ORDINARY[1]:
        return classifier
    return Rescaled(classifier, min(_TYPICAL / middle, 1e37))
