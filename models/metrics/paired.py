"""Comparing two classifiers on the same images."""

from __future__ import annotations

import math


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided exact p-value of McNemar's test.

    Args:
        only_first: Images that the first classifier alone gets right.
        only_second: Images that the second alone gets right.

    Source: McNemar 1947; exact binomial form on the discordant pairs.
    """
    n, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, count) for count in range(fewer + 1))
    return min(1.0, tail / 2 ** (n - 1)) if n else 1.0
