"""How long each part of an audit is beside the others, so that its progress foretells when it ends.

Measured in images that the network answers and that are differentiated; an answer alone counts as a third.
At 10 classes and budget ``standard`` following a trigger to a student is two thirds of the work, at 1,000
classes and ``thorough`` nine tenths are margins and comparison.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Literal

from models.probes.effort import Effort
from models.probes.inverted_images import COUNT, STEPS
from models.probes.mmbd import climbed_inputs
from models.probes.undistillable.paired_students import STUDENT_EFFORTS
from models.recipes.probe import ProbeRecipe

#: In the order in which they run.
Part = Literal["images", "margins", "comparison", "further", "inversion", "transfer", "nasty"]

#: An image that is only answered.
_ANSWER = 1 / 3
#: A small student's step beside the network's: with it, 54,000 images take 25 s (``student_gain``).
_STUDENT = 0.25


def part_spans(
    effort: Effort, recipe: ProbeRecipe, num_classes: int, *, given: bool, enough: bool
) -> dict[Part, tuple[float, float]]:
    """Return where each part begins and ends, as shares of the audit, the first at 0, the last at 1.

    Args:
        effort: Of the budget.
        recipe: Whether triggers are followed, over how many channels, and whether students are trained.
        num_classes: K.
        given: Whether there are clean images for students to learn from.
        enough: Whether there are so many that the probes search on them.
    """
    scanned = min(num_classes, effort.scanned_classes)
    answered = num_classes * effort.noises + (1 + effort.shuffles) * effort.described_images
    followed = len(recipe.channels) * (recipe.transfer_images or effort.transfer_images)
    work: dict[Part, float] = {
        "images": COUNT * STEPS if recipe.surrogates == "inverted" and not enough else 0,
        "margins": num_classes * climbed_inputs(effort.margin_restarts, effort.margin_steps),
        "comparison": scanned * effort.scan_batch * (effort.patch_steps + effort.perturbation_steps),
        "further": _ANSWER * answered,
        # Three kinds, most often for one class.
        "inversion": 3 * effort.refine_steps * effort.refine_batch,
        "transfer": (1 + _ANSWER) * followed if recipe.transfer else 0,
        "nasty": _nasty(effort, recipe, clean=given),
    }
    ends = list(accumulate(work.values(), initial=0.0))
    shares = [end / ends[-1] for end in ends]
    return dict(zip(work, pairwise(shares), strict=True))


def _nasty(effort: Effort, recipe: ProbeRecipe, *, clean: bool) -> float:
    if not recipe.nasty:
        return 0
    students = STUDENT_EFFORTS.get(recipe.budget)
    if students is None or not clean:
        return _ANSWER * effort.described_images
    return students.seeds * students.images * (_ANSWER + _STUDENT * len(students.sources))
