"""Several probes, one p-value: scores are brought to one scale, combined, and ranked again.

Every probe's score is measured in units of its own spread over all networks, the references and the
audited one: ``z = 1.28 (s - median) / (90 % quantile - median)``, cut at 0. The combined score is the sum of
z squared. Where scores are normal, z squared is nearly -2 log of the one-sided p-value: Fisher's sum,
computed from the size of the scores.

Why from the size and not from ranks: ``n`` references give rank p-values no smaller than 1 / (n + 1), so that
the smallest p of three probes (Bonferroni) ties the audited network with up to three references, the first of
each probe. In simulation (``python -m benchmarks.combine_probes``: 3 probes, normal scores, a backdoor 4
deviations high in one probe / in two, level 5 %, n = 19) the smallest p detects 0 % / 4 %, Cauchy's
combination (Liu and Xie, JASA 2020) 36 % / 92 %, this one 81 % / 99 %. With n = 99 each detects over 91 %
of the first kind. Of clean networks Cauchy's and this one call 4 % to 6 % backdoored, the smallest p 3 % or
fewer.

The scale is only a choice that buys power. The p-value stays valid because the combined score is ranked
again, among combined scores made the same way: median and quantile are taken over all n + 1 networks, so that
exchanging the audited one with a reference changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.probes.calibration.conformal import ALPHA, conformal_p_value

#: 90 % quantile of the standard normal distribution.
_NORMAL_90 = 1.2815515655446004

#: Spread of a probe that gives 9 of 10 networks the same score; keeps the division finite.
_LEAST_SPREAD = 1e-9


@dataclass(frozen=True)
class Combined:
    """What several probes say together."""

    p_value: float
    per_probe: tuple[float, ...]
    """Calibrated p-values of the probes by themselves."""
    score: float
    """Of the network, what was ranked: the sum of z squared. Larger is more conspicuous."""
    driving: tuple[int, ...]
    """Which probes carry it, the one that adds most first: that one, and those whose own p-value is at most
    alpha."""


def combine(score: NDArray[np.float64], references: NDArray[np.float64], alpha: float = ALPHA) -> Combined:
    """Compare a network with clean ones by several scores at once.

    Args:
        score: (P,), of the audited network, one per probe; larger is more conspicuous.
        references: (n, P), of clean networks.
        alpha: Level from which a probe by itself counts as driving.
    """
    parts = squared_excess(np.vstack([references, score]))
    totals = parts.sum(axis=1)
    per_probe = tuple(
        conformal_p_value(float(own), column.tolist())
        for own, column in zip(score, references.T, strict=True)
    )
    by_weight = [int(place) for place in np.argsort(-parts[-1], kind="stable")]
    driving = tuple(place for place in by_weight if place == by_weight[0] or per_probe[place] <= alpha)
    total = float(totals[-1])
    return Combined(conformal_p_value(total, totals[:-1].tolist()), per_probe, total, driving)


def squared_excess(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring scores to one scale: z squared where the score is above the median, else 0.

    Args:
        scores: (n + 1, P), of all networks.

    Returns:
        (n + 1, P).
    """
    median = np.median(scores, axis=0)
    spread = (np.quantile(scores, 0.9, axis=0) - median) / _NORMAL_90
    above: NDArray[np.float64] = (scores - median).clip(min=0.0)
    return (above / np.maximum(spread, _LEAST_SPREAD)) ** 2
