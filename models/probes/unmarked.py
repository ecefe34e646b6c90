"""What probes share that have no mark: nothing tells yet which of their numbers are unusual.

They are reported, and change no verdict. One that cannot answer says why instead of a number.
"""

from __future__ import annotations

from torch import Tensor

from models.errors import ProctorError, RecipeError, TrainingFailed
from models.recipes.probe_catalog import find_probe
from models.results.audit import ProbeResult

#: The end of every summary.
UNMARKED = "It was compared with nothing yet, so it is no sign for or against a backdoor."


def not_applicable(reason: str) -> RecipeError:
    """Make the error of a probe that has nothing to ask this network.

    Args:
        reason: Why, as the end of a sentence.
    """
    return RecipeError(f"There is no number: {reason}.", code="probe_not_applicable")


def require_finite(values: Tensor, what: str) -> None:
    """Refuse numbers that say nothing.

    Raises:
        TrainingFailed: A value is NaN or infinite (code ``non_finite``).
    """
    if not bool(values.isfinite().all()):
        raise TrainingFailed(f"There is no number: the network's {what} are not finite.", code="non_finite")


def without_number(probe: str, problem: ProctorError) -> ProbeResult:
    """Report a probe that could not answer."""
    return ProbeResult(
        probe=probe,
        summary=problem.detail,
        target_label=None,
        statistic=None,
        conspicuous=False,
        blind_to=find_probe(probe).blind_to,
    )
