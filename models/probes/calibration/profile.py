"""Class by class: how unusual is a class among what clean networks show *for that class*?

Classes differ by nature. On handwritten digits most clean networks are driven most easily to the five, so the
largest score of a network says little: a backdoor to another class must first rise above the five. Where the
references have the same classes in the same order (the set's *task* is the audited network's), every class
has references of its own. The logarithms of a network's scores are laid about their median class, which makes
its *profile*; a class's excess is its distance from the median of all networks' profiles at that class; the
network's score is the largest excess, its class the one that has it.

The median is taken over all n + 1 networks, the audited one among them, so that exchanging it with a
reference changes nothing and the p-value by rank stays valid, as in ``combine``. Dividing by each class's
spread was tried and gained nothing on networks that the test of docs/evaluation.md does not contain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.results.audit import ProbeResult

#: Probes whose scores of all classes are compared, and what turns them into "larger is more conspicuous":
#: the logarithm of a margin, the negative one of a size.
_SIGNS = {"mmbd": 1.0, "trigger_inversion": -1.0, "universal_perturbation": -1.0}
#: A score that is not positive counts as this share of the largest: no input of that class was found.
_LEAST_SHARE = 1e-3
#: More digits than any score has.
_DIGITS = 5


def class_profile(probe: ProbeResult) -> tuple[float, ...]:
    """Return a network's profile by one probe, (K,), its median 0; empty where the probe has none."""
    sign = _SIGNS.get(probe.probe)
    if sign is None or len(probe.class_scores) < 2:
        return ()
    scores = np.asarray(probe.class_scores, dtype=np.float64)
    if not np.isfinite(scores).all() or scores.max() <= 0:
        return ()
    if sign < 0:
        scores = _won(scores)
    logarithms = sign * np.log(np.maximum(scores, _LEAST_SHARE * scores.max()))
    return tuple(round(float(value), _DIGITS) for value in logarithms - np.median(logarithms))


def _won(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the few classes that no trigger won the largest size of those that one did.

    A search reports a bound for classes that it did not win, for all of them the same. Whether one or two are
    among them is chance, and with this it does not matter. It is done only where more than half of the
    classes lie below the bound, so that the median class does, too: else it would pull the median down to
    the classes that were won, and a target that alone gave in would stand out from nothing.
    """
    below = sizes[sizes < sizes.max()]
    return np.minimum(sizes, below.max()) if 2 * len(below) > len(sizes) else sizes


def class_excess(profiles: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return every network's largest excess, and the class that has it.

    Args:
        profiles: (n + 1, K), of all networks.

    Returns:
        excess: (n + 1,), a difference of logarithms; 0 of a flat profile, where nothing was won: there no
            class stands out, however far others' do.
        classes: (n + 1,).
    """
    excess = profiles - np.median(profiles, axis=0)
    excess[~profiles.any(axis=1)] = 0.0
    return excess.max(axis=1), excess.argmax(axis=1)
