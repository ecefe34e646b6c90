"""The images that the vaccine's selection looks at: a part of the beginning, drawn before it is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.engine.seed import make_generator


class ImagePool:
    """Keeps what was drawn and nothing else: 39 batches of 512 images of 224 pixels are 12 GB."""

    def __init__(self, batches: int, limit: int, seed: int) -> None:
        """Keep nothing yet.

        Args:
            batches: How many there will be, all of the first one's size; later images of larger ones are not
                drawn.
            limit: Images to keep at most.
            seed: Of the draw.
        """
        self._batches, self._limit, self._seed = batches, limit, seed
        self._seen = 0
        self._expected = 0
        self._kept: list[Tensor] = []
        self._places: list[Tensor] = []

    def add(self, x: Tensor) -> None:
        """Keep of a batch (N, 3, H, W) what was drawn."""
        self._expected = self._expected or self._batches * len(x)
        places = self._drawn()[self._seen : self._seen + len(x)]
        self._seen += len(x)
        chosen = (places >= 0).nonzero().flatten()
        self._places.append(places[chosen])
        self._kept.append(x.detach()[chosen.to(x.device)])

    def images(self) -> Tensor:
        """Return what was kept (N, 3, H, W) in the order of the draw, as ``pool[randperm][:limit]`` would."""
        order = torch.cat(self._places).argsort()
        kept = torch.cat(self._kept)
        return kept[order.to(kept.device)]

    def _drawn(self) -> Tensor:
        """Give each expected image its place in the draw, -1 if it has none."""
        generator = make_generator(self._seed, "vaccine pool")
        order = torch.randperm(self._expected, generator=generator)[: self._limit]
        places = torch.full((self._expected,), -1)
        places[order] = torch.arange(len(order))
        return places

    def state_dict(self) -> dict[str, Any]:
        """Return what was kept and how much was seen."""
        return {
            "seen": self._seen,
            "expected": self._expected,
            "kept": list(self._kept),
            "places": list(self._places),
        }

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take up a state from ``state_dict``."""
        self._seen, self._expected = state["seen"], state["expected"]
        self._kept = [x.to(device) for x in state["kept"]]
        self._places = list(state["places"])
