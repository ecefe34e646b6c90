"""The choice of a threshold in words and numbers, for the record of the student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.distillation.robustkd.canaries import TAKEN
from models.distillation.robustkd.threshold_search import Candidate
from models.recipes.robustkd import RobustKDRecipe
from models.results.training import Decision


def describe(
    chosen: Candidate, candidates: Sequence[Candidate], planted: Mapping[str, float], recipe: RobustKDRecipe
) -> Decision:
    """Write the choice down, with what every threshold tried had shown.

    Args:
        chosen: From ``choose``.
        candidates: All that were measured.
        planted: From ``measure_planting``; empty without canaries.
        recipe: Holds the limits.

    Returns:
        A decision at step 0: it falls before the student's first.
    """
    text = (
        f"Mask threshold {chosen.threshold:g} of {len(candidates)} tried: "
        f"the detoxified teacher loses {100 * chosen.accuracy_drop:.1f} points of held-out clean accuracy"
    )
    if chosen.accuracy_drop > recipe.max_accuracy_drop:
        text += f", more than the {100 * recipe.max_accuracy_drop:.1f} allowed; no threshold lost less"
    text += f"; {_triggers(chosen)}; {_canaries(chosen, planted)}."
    if chosen.trigger_success is None and chosen.canary_success is None:
        text += " Accuracy decided alone."
    elif chosen.worst_success > recipe.max_trigger_success:
        text += f" No threshold brought that to {100 * recipe.max_trigger_success:.0f} %"
        text += " at the accuracy allowed; a backdoor may be left."
    values = {"threshold": chosen.threshold}
    values |= {f"{name}_planted": success for name, success in planted.items()}
    for item in candidates:
        values |= {f"threshold_{item.threshold:g}_{name}": value for name, value in _values(item).items()}
    return Decision(step=0, name="mask_threshold", text=text, values=values)


def _triggers(chosen: Candidate) -> str:
    if chosen.trigger_success is None:
        return "no recovered trigger was given"
    return f"recovered triggers still work on at most {100 * chosen.trigger_success:.1f} % of images"


def _canaries(chosen: Candidate, planted: Mapping[str, float]) -> str:
    if not planted:
        return "no canary was planted"
    if chosen.canary_success is None:
        return f"none of {len(planted)} canaries took (raised its rate by {100 * TAKEN:.0f} points)"
    text = f"{len(chosen.canaries)} canaries planted in a copy still work on at most "
    text += f"{100 * chosen.canary_success:.1f} %"
    if chosen.disagreement is not None:
        text += f", {100 * chosen.disagreement:.1f} points apart from the recovered triggers"
    return text


def _values(item: Candidate) -> dict[str, float]:
    values = {
        "accuracy_drop": item.accuracy_drop,
        "variance_ratio": item.variance_ratio,
        "trigger_success": item.trigger_success,
        "canary_success": item.canary_success,
        "disagreement": item.disagreement,
        "copy_accuracy_drop": item.copy_accuracy_drop,
        **item.canaries,
    }
    return {name: value for name, value in values.items() if value is not None}
