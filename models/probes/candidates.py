"""What a search for triggers hands back."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Candidates:
    """The smallest working trigger per searched class, C of them.

    ``patterns`` is (C, 3, H, W): colors in [0, 1] of a patch, or differences of an additive trigger.
    ``masks`` is (C, 1, H, W), in [0, 1]. ``sizes`` (C,) is what the search made small; where nothing worked,
    the largest size there is. ``reached`` (C,) tells where something worked.
    """

    patterns: Tensor
    masks: Tensor
    sizes: Tensor
    reached: Tensor
