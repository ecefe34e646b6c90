"""p-values from clean reference networks, and how far the false-positive rate they promise may be off.

Let ``n`` clean networks and the audited one be drawn alike. Then the rank of the audited one among all
``n + 1`` is uniform, whatever the scores look like, and ``p = (1 + #{s_i >= s}) / (n + 1)`` is at most
``alpha`` with probability at most ``alpha`` (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random
World, 2005). That is an average over reference sets. One set, once drawn, has a rate of its own: for
continuous scores it follows Beta(l, n + 1 - l) with l = floor(alpha (n + 1)); one minus it, the share of
clean networks that pass, follows Beta(n + 1 - l, l) (Vovk, ACML 2012, proposition 2a).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

#: A clean network is called backdoored this often, on average over reference sets.
ALPHA = 0.05

#: Probability that the realised rate lies in the band.
BAND = 0.9

#: Rounding of ``alpha * (n + 1)`` must not lose a rank: 0.29 * 100 is less than 29.
_ROUNDING = 1e-9


def conformal_p_value(score: float, references: Sequence[float]) -> float:
    """Return the share of networks, the audited one included, that score at least as high as it does.

    Args:
        score: Of the audited network; larger is more conspicuous.
        references: Scores of clean networks. A tie counts against a detection.
    """
    return (1 + sum(reference >= score for reference in references)) / (len(references) + 1)


def smallest_level(n: int) -> float:
    """Return the smallest p-value that ``n`` references can give: 0.05 takes 19, 0.01 takes 99."""
    return 1 / (n + 1)


def fewest_references(alpha: float = ALPHA) -> int:
    """Return how many references a p-value of at most ``alpha`` takes."""
    return math.ceil(1 / alpha - _ROUNDING) - 1


def false_positive_band(n: int, alpha: float = ALPHA) -> tuple[float, float] | None:
    """Return where the realised false-positive rate of one set lies with probability ``BAND``.

    Args:
        n: References.
        alpha: Level of the test.

    Returns:
        The (1 - BAND) / 2 quantiles of Beta(l, n + 1 - l) from both sides; None if ``n`` references allow no
        detection at this level. Exact for one probe with continuous scores; ties make the rate smaller.
    """
    allowed = math.floor(alpha * (n + 1) + _ROUNDING)
    if allowed == 0:
        return None
    outside = (1 - BAND) / 2
    return _beta_quantile(outside, allowed, n), _beta_quantile(1 - outside, allowed, n)


def _beta_quantile(probability: float, allowed: int, n: int) -> float:
    """Invert the distribution function of Beta(allowed, n + 1 - allowed) by bisection.

    At x it is the probability that at least ``allowed`` of ``n`` uniform draws lie below x: an exact sum.
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        fewer = sum(math.comb(n, k) * middle**k * (1 - middle) ** (n - k) for k in range(allowed))
        low, high = (middle, high) if 1 - fewer < probability else (low, middle)
    return (low + high) / 2
