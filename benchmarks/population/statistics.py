"""Areas under ROC curves with bootstrap intervals, and rates with Wilson intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.metrics.intervals import wilson

RESAMPLES = 2_000


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the probability that a positive scores above a negative; a tie counts half."""
    above = np.asarray(positive, dtype=np.float64)[:, None] - np.asarray(negative, dtype=np.float64)[None]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def auroc_interval(
    positive: Sequence[float], negative: Sequence[float], seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval; positives and negatives are drawn again separately."""
    random = np.random.default_rng(seed)
    first, second = np.asarray(positive), np.asarray(negative)
    drawn: NDArray[np.float64] = np.array(
        [
            auroc(random.choice(first, len(first)), random.choice(second, len(second)))
            for _ in range(RESAMPLES)
        ]
    )
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def rate_text(hits: int, n: int) -> str:
    """Write a rate with its 95 % Wilson interval."""
    if not n:
        return "—"
    rate = wilson(hits, n)
    return f"{hits}/{n} = {rate.value:.2f} [{rate.low:.2f}, {rate.high:.2f}]"
