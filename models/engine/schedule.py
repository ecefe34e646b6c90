"""Learning rates as a function of the step: nothing to save, nothing to resume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Schedule = Literal["cosine", "steps", "constant"]


def scheduled_rate(schedule: Schedule, peak: float, step: int, steps: int) -> float:
    """Return the learning rate of ``step``, counted from 0, in a run of ``steps``.

    Args:
        schedule: ``cosine`` falls from ``peak`` towards 0; ``steps`` halves it at half of the run;
            ``constant`` keeps it.
        peak: First rate.
        step: From 0 to ``steps - 1``.
        steps: Length of the run.
    """
    if schedule == "cosine":
        return peak * 0.5 * (1.0 + math.cos(math.pi * step / steps))
    if schedule == "steps":
        return peak * (0.5 if step >= steps / 2 else 1.0)
    return peak


def milestone_rate(peak: float, step: int, steps: int, milestones: Sequence[float], decay: float) -> float:
    """Return the learning rate of ``step``: ``peak`` times ``decay`` for each milestone that is behind.

    Args:
        peak: First rate.
        step: From 0 to ``steps - 1``.
        steps: Length of the run.
        milestones: Shares of the run; PyTorch's ``MultiStepLR`` has them in epochs.
        decay: Factor at each of them.
    """
    return float(peak * decay ** sum(step >= share * steps for share in milestones))
