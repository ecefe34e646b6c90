"""Which shuffle to trust, decided by what the data-free images show and by nothing else.

If some images keep their prediction under a shuffle far more than the others do, their log divergence makes a
heavy lower tail: a Gaussian leaves 0.13 % below three deviations, 2 % is accepted as evidence. Source: the
code of ABD (algorithms.md 1.3). Departures: divergences are clamped at 1e-12, since log10(0) made the ratio
0; the pool holds each generated image once, where the code kept eleven copies of most; it is cut to a random
``selection_images`` and keeps no graph. And a shuffle must not have collapsed: if it names one class for
nearly everything, agreeing with it says which class the teacher names and nothing of a trigger. Of eight
shuffles of a WRN-10-2's last stage all named one class for over half of the images, five for over .8; one of
them had a tail of 2.1 %, and the student it vaccinated lost .29 of its accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.architectures import StagedClassifier
from models.distillation.abd.shuffling_vaccine import ShuffledEnsemble, shuffle_divergence
from models.engine.seed import make_generator
from models.recipes.abd import VaccineRecipe
from models.results.training import Decision

_BATCH = 256


@dataclass(frozen=True)
class Selection:
    """The outcome: the weight to go on with, and the record of all trials."""

    weight: float
    decision: Decision


def tail_ratio(divergences: Tensor) -> float:
    """Return the share of samples whose log10 lies 3 (population) deviations below the mean.

    Args:
        divergences: Nonnegative, (N,).
    """
    logs = divergences.clamp(min=1e-12).log10()
    return float((logs < logs.mean() - 3.0 * logs.std(correction=0)).float().mean())


def largest_share(recipe: VaccineRecipe, classes: int) -> float:
    """Return the share of one class above which a shuffle counts as collapsed.

    Of two or three classes one has an even share of 1/2 or 1/3 already, and the default of a half would
    refuse every shuffle: there the limit is at least 1.6 even shares (.8 and .53).

    Args:
        recipe: Its limit.
        classes: K.
    """
    return max(recipe.selection_max_class_share, 1.6 / classes if classes < 4 else 0.0)


def select_shuffle(
    ensemble: ShuffledEnsemble,
    teacher: StagedClassifier,
    pool: Tensor,
    recipe: VaccineRecipe,
    *,
    seed: int,
    step: int,
) -> Selection:
    """Try shuffles until one shows a heavy tail on the pool; without one, the vaccine stays off.

    Args:
        ensemble: Already shuffled; left with the accepted shuffle, or the last one tried.
        teacher: Intact, in eval mode.
        pool: Data-free images to judge by, normalized (N, 3, H, W).
        recipe: Trials, ratio and weight.
        seed: Of the further shuffles.
        step: When, for the record.
    """
    batches = torch.split(pool, _BATCH)
    ratios: list[float] = []
    class_shares: list[float] = []
    accepted = False
    with torch.no_grad():
        teacher_logits = torch.cat([teacher(batch) for batch in batches])
        limit = largest_share(recipe, teacher_logits.shape[1])
        while not accepted and len(ratios) < recipe.selection_trials:
            if ratios:
                ensemble.shuffle(make_generator(seed, f"shuffle {len(ratios)}"))
            shuffled = torch.cat([ensemble.logits(batch) for batch in batches])
            ratios.append(tail_ratio(shuffle_divergence(teacher_logits, shuffled, recipe.direction)))
            class_shares.append(float(shuffled.argmax(dim=1).bincount().max()) / len(shuffled))
            informative = class_shares[-1] <= limit
            accepted = informative and ratios[-1] > recipe.selection_ratio
    values = {f"tail_ratio_{trial}": ratio for trial, ratio in enumerate(ratios)}
    values |= {f"class_share_{trial}": share for trial, share in enumerate(class_shares)}
    text = (
        f"Shuffle {len(ratios)} was accepted: {ratios[-1]:.1%} of the images lie in the lower tail."
        if accepted
        else f"No vaccine was found: of {len(ratios)} shuffles, with tails up to {max(ratios):.1%}, none has "
        f"over {recipe.selection_ratio:.1%} and spreads its answers over the classes."
    )
    weight = recipe.weight if accepted else 0.0
    return Selection(weight, Decision(step, "vaccine_selection", text, {**values, "weight": weight}))
