"""The contrastive term: an image should be told by one view of it from all other images by another.

Without it, generated images resemble each other. Features are the teacher's BatchNorm inputs; a small network
of its own projects them. Images of earlier rounds take part through the features of their views, kept in a
memory bank. The global side is detached: gradients reach the images through their local view only.

Source: Fang et al., IJCAI 2021, section 3.3; after algorithms.md 2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

#: A layer as wide as its input has D squared weights: with a DenseNet-121's 41,824 features 7 GB, and Adam's
#: moments twice that. The tables' WRN-16-2 has 912.
_WIDEST = 2_048


class ProjectionHead(nn.Module):
    """Maps features (N, D) to unit vectors (N, size); the layer between is D wide, at most 2,048."""

    def __init__(self, features: int, size: int) -> None:
        """Make two layers; ``features`` is D."""
        super().__init__()
        width = min(features, _WIDEST)
        self.layers = nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, size))

    def forward(self, features: Tensor) -> Tensor:
        """Project."""
        return functional.normalize(cast(Tensor, self.layers(features)), dim=1)


class MemoryBank:
    """Features of both views of earlier images, the oldest forgotten first."""

    def __init__(self, size: int) -> None:
        """Remember at most ``size`` images."""
        self.size = size
        self.views: Tensor | None = None

    def add(self, local: Tensor, overall: Tensor) -> None:
        """Remember images by the features (N, D) of their local and their global view."""
        new = torch.stack([local, overall], dim=1).detach()
        joined = new if self.views is None else torch.cat([self.views, new])
        self.views = joined[max(0, len(joined) - self.size) :]

    def sample(self, count: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor] | None:
        """Draw at most ``count`` different images: local and global features, (M, D) each, or None."""
        if self.views is None or count == 0 or len(self.views) == 0:
            return None
        chosen = torch.randperm(len(self.views), generator=generator)[:count]
        views = self.views[chosen.to(self.views.device)]
        return views[:, 0], views[:, 1]

    def state_dict(self) -> dict[str, Any]:
        """Return what is remembered."""
        return {"views": self.views}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take up a state from ``state_dict``."""
        self.views = None if state["views"] is None else state["views"].to(device)


def contrastive_loss(
    head: ProjectionHead,
    local: Tensor,
    overall: Tensor,
    remembered: tuple[Tensor, Tensor] | None,
    temperature: float,
) -> Tensor:
    """Compute the mean over present images plus the mean over remembered ones; a scalar.

    Args:
        head: Learns from the local side only, as the images do.
        local: Features of the images' local views (N, D).
        overall: Of their global views (N, D).
        remembered: Of earlier images, local and global (M, D).
        temperature: Of the softmax over N + M images.
    """
    count = len(local)
    if remembered is not None:
        local, overall = torch.cat([local, remembered[0]]), torch.cat([overall, remembered[1]])
    with torch.no_grad():
        keys = head(overall)
    logits = head(local) @ keys.T / temperature
    losses = functional.cross_entropy(
        logits, torch.arange(len(logits), device=logits.device), reduction="none"
    )
    present = losses[:count].mean()
    return present if remembered is None else present + losses[count:].mean()
