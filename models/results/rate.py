"""A measured share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """A share of images with its 95 % Wilson interval."""

    value: float
    low: float
    high: float
    n: int
