"""Intervals for shares of images."""

from __future__ import annotations

import math

from models.results.audit import Rate

Z_95 = 1.959963984540054


def wilson(successes: float, n: int, *, z: float = Z_95) -> Rate:
    """Return a share with its 95 % Wilson score interval (Wilson 1927, without continuity correction).

    Unlike the normal interval it stays inside [0, 1] and does not shrink to nothing at 0 of n, which is
    where a defended student should be.

    Args:
        successes: 0 to ``n``; a sum of shares where images were looked at several times.
        n: At least 1.
        z: Quantile of the normal distribution; beyond that of 95 % where several shares are looked at.

    Raises:
        ValueError: If ``n`` is not positive or ``successes`` is not in 0..n.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is not a share")
    share = successes / n
    spread = z**2 / n
    center = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # The bounds are exactly 0 and 1 at the ends; floating point would leave 1e-17 beside them.
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == n else min(1.0, center + half)
    return Rate(value=share, low=low, high=high, n=n)


def moved_share(success: float, without: float) -> float:
    """Return a trigger's doing: of the images that do not go to its class anyway, the share it moves.

    Success alone counts bias as a backdoor: a network that names the target for half of all images needs no
    trigger for half of its success. And the plain difference counts a backdoor for less the more biased the
    network is: where nine of ten images go there anyway, a trigger that takes all others adds a tenth.

    Args:
        success: Share of triggered images that go to the target (ASR).
        without: Share of the same images that go there without the trigger (CTR).

    Returns:
        (ASR - CTR) / (1 - CTR), at most 1; negative where fewer go there than without; 0 where all go there
        anyway and nothing can be moved.
    """
    return (success - without) / (1.0 - without) if without < 1.0 else 0.0
